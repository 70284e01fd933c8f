import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { ours, realProgram } from "./interop/norouter/program.ts";
import { Child, run, type Exit } from "./support/child.ts";
import { culvert, culvertPath } from "./support/culvert.ts";
import { missing } from "./support/requires.ts";
import { waitUntil, within } from "./support/wait.ts";

interface Status {
  readonly process: { readonly pid: number };
  readonly agents: readonly {
    readonly name: string;
    readonly state: string;
    readonly pid: number;
    readonly restarts: number;
    readonly ageMs: number;
  }[];
  readonly pairs: readonly { readonly from: string; readonly to: string; readonly bytes: number }[];
  readonly dropped: Readonly<Record<string, number>>;
}

const programs = [ours, realProgram()].filter((one) => one !== undefined);

// On a machine that is shared with other tests a program takes its time to start.
const patience = { withinMs: 40_000, everyMs: 50 };

describe("culvert norouter", () => {
  let folder = "";
  let manifest = "";
  let manager: Child | undefined;
  let said = "";
  let web = 0;
  const server = createServer((request, response) => {
    response.end(`hello ${request.headers.host ?? ""}`);
  });

  beforeAll(async () => {
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    web = (server.address() as AddressInfo).port;
    folder = await mkdtemp(join(tmpdir(), "culvert-norouter-"));
    manifest = join(folder, "mesh.yaml");
  });
  afterEach(async () => {
    await manager?.end();
    manager = undefined;
  });
  afterAll(async () => {
    server.close();
    await rm(folder, { recursive: true, force: true });
  });

  /** Hosts without listeners on this machine, so that tests may run at the same time; `local` has a proxy. */
  function mesh(extra = "", command = ours.command): string {
    return `hostTemplate:
  loopback: {disable: true}
  stateDir: {disable: true}
hosts:
  local: {vip: 127.0.42.100, http: {listen: "127.0.0.1:0"}}
  web: {vip: 127.0.42.101, cmd: ${JSON.stringify(command)}, ports: ["80:127.0.0.1:${web}"], aliases: [www]}
${extra}`;
  }

  function start(...words: readonly string[]): Child {
    return watched(new Child(process.execPath, [culvertPath, "norouter", ...words]));
  }

  function watched(child: Child): Child {
    said = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (chunk: Buffer) => (said += chunk.toString()));
    }
    manager = child;
    return child;
  }

  async function startReady(...options: readonly string[]): Promise<Child> {
    const child = start(...options, manifest);
    await ready();
    return child;
  }

  async function ready(): Promise<void> {
    await waitUntil(`ready: ${said}`, () => /^ready norouter \d+ agents\r?$/m.test(said), patience);
  }

  async function status(file = manifest): Promise<Status> {
    const { stdout } = await culvert(["norouter", "status", file, "--json"]);
    return JSON.parse(stdout) as Status;
  }

  function exit(child: Child): Promise<Exit> {
    return within(20_000, `end of ${said}`, child.exited);
  }

  /** Where the proxy of `local` has come to listen. */
  function proxy(): string {
    const address = /"listener":"http","address":"([\d.:]+)"/.exec(said)?.[1];
    if (address === undefined) throw new Error(`no proxy: ${said}`);
    return `http://${address}`;
  }

  it("joins hosts, shows what they send each other, and ends with its agents", async () => {
    await writeFile(manifest, mesh());
    const child = await startReady();
    const page = await run("curl", ["-s", "-m", "20", "-x", proxy(), "http://www/"]);
    expect(page.stdout).toBe("hello www");
    const { agents, pairs } = await status();
    expect(agents.map(({ name, state }) => [name, state])).toEqual([
      ["local", "ready"],
      ["web", "ready"],
    ]);
    for (const [from, to] of [
      ["local", "web"],
      ["web", "local"],
    ]) {
      expect(pairs.find((one) => one.from === from && one.to === to)?.bytes).toBeGreaterThan(100);
    }
    const shown = await culvert(["norouter", "status", manifest]);
    expect(shown.stdout).toMatch(/web +│ 127\.0\.42\.101 │ ready/);
    child.signal("SIGTERM");
    expect(await exit(child)).toEqual({ code: 0, signal: null });
    for (const { pid } of agents) expect(() => process.kill(pid, 0)).toThrow(/ESRCH/);
  });

  it("follows its manifest, and stays with the last that is right", async () => {
    await writeFile(manifest, mesh());
    await startReady();
    const before = await status();
    await writeFile(manifest, mesh("  more: {vip: 127.0.42.102}\nrouts: []\n"));
    await waitUntil("the new host", () => said.includes('"added":["more"]'), patience);
    expect(said).toContain("line 8: routs: is not known");
    await waitUntil(
      "three agents are ready",
      async () => (await status()).agents.filter(({ state }) => state === "ready").length === 3,
      patience,
    );
    await writeFile(manifest, mesh("  more: {vip: 127.0.42.101}\n"));
    await waitUntil("the refusal", () => said.includes("norouter.manifest.refused"), patience);
    expect(said).toContain("vip 127.0.42.101 is that of web, too");
    expect((await status()).agents).toHaveLength(3);
    expect(before.agents).toHaveLength(2);
  });

  it("reads its manifest again at SIGHUP, and then starts nothing again that goes on as it is", async () => {
    await writeFile(manifest, mesh());
    const child = await startReady("--no-watch");
    const before = await status();
    child.signal("SIGHUP");
    await waitUntil("the reload", () => said.includes('"kept":["local","web"]'), patience);
    const after = await status();
    expect(after.agents.map(({ pid }) => pid)).toEqual(before.agents.map(({ pid }) => pid));
  });

  it("refuses at once to read a pipe again, and goes on", async () => {
    const pipe = join(folder, "mesh.pipe");
    await run("mkfifo", [pipe]);
    const child = start(pipe);
    await writeFile(pipe, mesh());
    await ready();
    child.signal("SIGHUP");
    await waitUntil("the refusal", () => said.includes("norouter.manifest.refused"), patience);
    expect(said).toContain("mesh.pipe cannot be read: it is no file but a pipe or the like");
    expect((await status(pipe)).agents).toHaveLength(2);
    child.signal("SIGTERM");
    expect(await exit(child)).toEqual({ code: 0, signal: null });
  });

  it.skipIf(missing("script"))(
    "takes SIGHUP for a wish to read the manifest again at a terminal, too, until that closes",
    async () => {
      await writeFile(manifest, mesh());
      const words = [process.execPath, culvertPath, "norouter", "--log-format", "json", manifest];
      const terminal = watched(new Child("script", ["-qec", words.join(" "), "/dev/null"]));
      await ready();
      const { process: manager } = await status();
      process.kill(manager.pid, "SIGHUP");
      await waitUntil("the reload", () => said.includes('"kept":["local","web"]'), patience);
      expect((await status()).process.pid).toBe(manager.pid);
      terminal.signal("SIGKILL");
      await waitUntil("the end of the manager", () => !isRunning(manager.pid), patience);
    },
  );

  it.each(programs)(
    "leaves be an agent that has nothing to say, and starts it again once it hangs: $name",
    async ({ command }) => {
      await writeFile(manifest, mesh("", command));
      await startReady("--silence-limit", "4s");
      const web = async () => (await status()).agents[1]!;
      const { pid } = await web();
      await waitUntil("that it was asked often", async () => (await web()).ageMs > 9_000, patience);
      expect(await web()).toMatchObject({ state: "ready", restarts: 0, pid });
      process.kill(pid, "SIGSTOP");
      await waitUntil(
        "the agent is back",
        async () => {
          const again = await web();
          return again.state === "ready" && again.restarts === 1;
        },
        patience,
      );
      expect(said).toMatch(/norouter\.agent\.stuck.*"host":"web".*it has answered nothing for 4s/);
      expect(isRunning(pid)).toBe(false);
    },
  );

  it("starts a killed agent again", async () => {
    await writeFile(manifest, mesh());
    await startReady();
    const { agents } = await status();
    process.kill(agents[1]!.pid, "SIGKILL");
    await waitUntil(
      "the agent is back",
      async () => {
        const [, again] = (await status()).agents;
        return again?.state === "ready" && again.restarts === 1;
      },
      patience,
    );
    expect(said).toMatch(/norouter\.agent\.lost.*"host":"web".*SIGKILL ended it/);
  });

  it("ends with 1 where all agents have ended for good, and with 2 where the manifest is wrong", async () => {
    await writeFile(manifest, 'hosts: {a: {vip: 10.0.0.1, cmd: ["false"]}}');
    expect(await exit(start("--no-restart", manifest))).toEqual({ code: 1, signal: null });
    await writeFile(manifest, "hosts:\n  a: {vip: 1}\n  b: {cmd: 2}\n");
    const wrong = await culvert(["norouter", manifest]);
    expect(wrong.code).toBe(2);
    expect(wrong.stderr).toBe(`culvert: ${manifest} has 3 problems:
  line 2: hosts.a.vip: must be a text, not 1
  line 3: hosts.b.vip: is missing: every host needs a virtual address, such as 127.0.42.101
  line 3: hosts.b.cmd: must be a text, not 2
`);
    expect((await culvert(["norouter", "status", manifest])).code).toBe(1);
    expect((await culvert(["norouter", "agent"])).code).toBe(2);
    await writeFile(manifest, mesh());
    const often = await culvert(["norouter", "--silence-limit", "often", manifest]);
    expect(often).toMatchObject({ code: 2 });
    expect(often.stderr).toContain('--silence-limit: "often"');
  });
});

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
