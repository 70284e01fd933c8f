import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Child, run, type Exit, type RunResult } from "../../support/child.ts";
import { makeNamespace, removeNamespace, type Namespace } from "../../support/namespace.ts";
import { waitUntil, within } from "../../support/wait.ts";
import type { Program } from "./program.ts";

/** The members of the mesh: `host0` is where the manager runs. */
export const members = {
  host0: "127.0.42.100",
  host1: "127.0.42.101",
  host2: "127.0.42.102",
  host3: "127.0.42.103",
  bastion1: "127.0.42.150",
  bastion2: "127.0.42.160",
} as const;
export type Member = keyof typeof members;
export const memberNames = Object.keys(members) as readonly Member[];

/** What lies behind the two bastions: addresses that nobody else has a route to, of the ranges kept for documentation. */
export const behind = {
  net1: {
    gateway: "198.51.100.1",
    dns: "198.51.100.53",
    wiki: "198.51.100.101",
    shop: "198.51.100.102",
  },
  net2: { gateway: "203.0.113.1", dns: "203.0.113.53", blog: "203.0.113.101" },
} as const;

/** Where the proxies of every member listen inside its namespace. */
export const httpProxy = "127.0.0.1:18080";
export const socksProxy = "127.0.0.1:18081";

/** Who takes which seat. */
export interface Seats {
  readonly manager: Program;
  readonly agents: Readonly<Record<Member, Program>>;
}

/** Every agent the same program. */
export function allAgents(program: Program): Readonly<Record<Member, Program>> {
  return Object.fromEntries(memberNames.map((name) => [name, program])) as Record<Member, Program>;
}

/**
 * Four hosts and two bastions with a network behind each, every one in a namespace of its own that shares nothing but the
 * file system: the members reach each other by the standard input and output of `ip netns exec` alone. Root only.
 */
export class Mesh {
  readonly seats: Seats;
  readonly #tag = randomBytes(3).toString("hex");
  readonly #spaces = new Map<string, Namespace>();
  readonly #residents: Child[] = [];
  #folder = "";
  #manager: Child | undefined;
  #log = "";

  constructor(seats: Seats) {
    this.seats = seats;
  }

  /** The process id of the manager; throws before it is started. */
  get managerPid(): number {
    if (this.#manager === undefined) throw new Error("no manager runs");
    return this.#manager.pid;
  }

  /** What the manager said. */
  get log(): string {
    return this.#log;
  }

  /** The folder that holds each member's state in a folder of its name. */
  get stateFolder(): string {
    return join(this.#folder, "state");
  }

  /** Makes the namespaces, starts what lives in them and then the manager; resolves once the manager calls every member ready. */
  async start(): Promise<void> {
    this.#folder = await mkdtemp(join(tmpdir(), "culvert-mesh-"));
    await Promise.all(memberNames.map((name) => this.#addSpace(name, resolverOf(name))));
    await Promise.all(["net1", "net2"].map((name) => this.#addSpace(name)));
    await this.#joinNetworks();
    await Promise.all([
      ...(["host1", "host2", "host3"] as const).map((name) =>
        this.#reside(name, { web: { "127.0.0.1": name } }),
      ),
      this.#reside("net1", {
        web: { [behind.net1.wiki]: "wiki", [behind.net1.shop]: "shop" },
        dns: {
          address: behind.net1.dns,
          names: { "wiki.net1.example": behind.net1.wiki, "shop.net1.example": behind.net1.shop },
        },
      }),
      this.#reside("net2", {
        web: { [behind.net2.blog]: "blog" },
        dns: { address: behind.net2.dns, names: { "blog.net2.example": behind.net2.blog } },
      }),
    ]);
    await this.#startManager();
  }

  /** Runs a program inside a member's namespace. */
  run(
    where: string,
    program: string,
    args: readonly string[],
    timeoutMs = 60_000,
  ): Promise<RunResult> {
    const [ip = "", ...prefix] = this.#space(where).prefix;
    return run(ip, [...prefix, program, ...args], { timeoutMs });
  }

  /** Starts a program inside a member's namespace that stays until the end of the mesh. */
  spawn(where: string, program: string, args: readonly string[]): Child {
    const [ip = "", ...prefix] = this.#space(where).prefix;
    const child = new Child(ip, [...prefix, program, ...args]);
    this.#residents.push(child);
    return child;
  }

  /** Asks the manager to end, as Ctrl-C does, and gives its exit. */
  async interrupt(): Promise<Exit> {
    if (this.#manager === undefined) throw new Error("no manager runs");
    this.#manager.signal("SIGINT");
    return within(20_000, "end of the manager after SIGINT", this.#manager.exited);
  }

  /** The ids of the processes in a member's namespace other than those that this harness put there. */
  async agentsOf(name: Member): Promise<readonly number[]> {
    const own = new Set(this.#residents.filter((each) => each.running).map((each) => each.pid));
    const pids = await pidsIn(this.#space(name));
    return pids.filter((pid) => pid !== this.#manager?.pid && !own.has(pid));
  }

  /** Ends everything and removes it, however far the start came. */
  async stop(): Promise<void> {
    if (this.#manager?.running === true) await this.interrupt().catch(() => undefined);
    await this.#manager?.end();
    for (const child of this.#residents) await child.end();
    for (const space of this.#spaces.values()) {
      for (const pid of await pidsIn(space)) kill(pid);
      await removeNamespace(space.name);
    }
    if (this.#folder !== "") await rm(this.#folder, { recursive: true, force: true });
  }

  async #addSpace(name: string, nameServer = "127.0.0.1"): Promise<void> {
    const full = `cv-f-${this.#tag}-${name}`;
    const space = await makeNamespace(full, {
      "resolv.conf": `nameserver ${nameServer}\noptions timeout:1 attempts:1\n`,
      hosts: "127.0.0.1 localhost\n",
    });
    this.#spaces.set(name, space);
  }

  /** One veth pair for each bastion and the network behind it; both ends vanish with their namespaces. */
  async #joinNetworks(): Promise<void> {
    for (const [bastion, net] of [
      ["bastion1", "net1"],
      ["bastion2", "net2"],
    ] as const) {
      const { gateway, ...addresses } = behind[net];
      const [near, far] = [this.#space(bastion), this.#space(net)];
      await near.sh(`ip link add cvf0 type veth peer name cvf1 netns ${far.name}`);
      await near.sh(`ip addr add ${gateway}/24 dev cvf0 && ip link set cvf0 up`);
      for (const address of Object.values(addresses)) {
        await far.sh(`ip addr add ${address}/24 dev cvf1`);
      }
      await far.sh("ip link set cvf1 up");
    }
  }

  async #reside(where: string, plan: object): Promise<void> {
    const child = this.spawn(where, process.execPath, [residentPath, JSON.stringify(plan)]);
    let said = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (chunk: Buffer) => (said += chunk.toString()));
    }
    await waitUntil(`the resident of ${where}`, () => {
      if (!child.running) throw new Error(`it ended: ${said}`);
      return said.includes("ready");
    });
  }

  async #startManager(): Promise<void> {
    const manifest = join(this.#folder, "mesh.yaml");
    await writeFile(manifest, this.manifest());
    const [ip = "", ...prefix] = this.#space("host0").prefix;
    const manager = new Child(ip, [...prefix, ...this.seats.manager.command, manifest], {
      env: { HOME: this.#folder },
    });
    this.#manager = manager;
    for (const stream of [manager.stdout, manager.stderr]) {
      stream.on("data", (chunk: Buffer) => (this.#log += chunk.toString()));
    }
    try {
      await waitUntil(
        "every member is ready",
        () => {
          if (!manager.running) throw new Error("the manager has ended");
          return Object.values(members).every((vip) => this.#calledReady(vip));
        },
        { withinMs: 30_000 },
      );
    } catch (error) {
      throw new Error(`${String(error)}\n${this.#log}`, { cause: error });
    }
  }

  #calledReady(vip: string): boolean {
    return this.#log.split("\n").some((line) => /\bready\b/i.test(line) && line.includes(vip));
  }

  /** The manifest, as a user would write it. */
  manifest(): string {
    const { manager, agents } = this.seats;
    const hosts = memberNames.map((name) => {
      const lines = [`  ${name}:`, `    vip: "${members[name]}"`];
      // Without a command the manager starts an agent of its own kind.
      if (name !== "host0" || agents[name].name !== manager.name) {
        lines.push(`    cmd: ${this.#command(name)}`);
      }
      lines.push(
        `    stateDir: {pathOnAgent: "${join(this.stateFolder, name)}"}`,
        ...(extra[name] ?? []),
      );
      return lines.join("\n");
    });
    return `${[
      "hostTemplate:",
      `  http: {listen: "${httpProxy}"}`,
      `  socks: {listen: "${socksProxy}"}`,
      "hosts:",
      ...hosts,
      "routes:",
      "  - via: bastion1",
      '    to: ["*.net1.example", "198.51.100.0/24"]',
      "  - via: bastion2",
      '    to: ["*.net2.example"]',
    ].join("\n")}\n`;
  }

  #command(name: Member): string {
    const words = [...this.#space(name).prefix, ...this.seats.agents[name].command];
    // One as a list, the others as strings.
    return name === "host3" ? JSON.stringify(words) : JSON.stringify(words.join(" "));
  }

  #space(name: string): Namespace {
    const space = this.#spaces.get(name);
    if (space === undefined) throw new Error(`no namespace ${name}`);
    return space;
  }
}

function resolverOf(name: Member): string | undefined {
  if (name === "bastion1") return behind.net1.dns;
  return name === "bastion2" ? behind.net2.dns : undefined;
}

async function pidsIn(space: Namespace): Promise<readonly number[]> {
  const { stdout } = await run("ip", ["netns", "pids", space.name]);
  return stdout
    .split("\n")
    .filter((each) => each !== "")
    .map(Number);
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // Gone since it was listed.
  }
}

const extra: Readonly<Partial<Record<Member, readonly string[]>>> = {
  host1: ['    ports: ["8080:127.0.0.1:80", "15201:127.0.0.1:5201"]'],
  host2: ['    ports: ["8080:127.0.0.1:80/tcp"]'],
  host3: ['    ports: ["8080:localhost:80"]', '    aliases: ["www.host3.example"]'],
};
const residentPath = fileURLToPath(new URL("resident.mjs", import.meta.url));
