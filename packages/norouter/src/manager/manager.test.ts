import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it, vi } from "vitest";
import { millis, systemClock, systemRandom, type Clock } from "@culvert/runtime";
import { createRegistry, type Log, type LogFields } from "@culvert/telemetry";
import type { Manifest, ManifestHost } from "../manifest/manifest.ts";
import { parseManifest } from "../manifest/parse-manifest.ts";
import { Manager, type ManagerOptions } from "./manager.ts";

interface Line extends LogFields {
  readonly event: string;
}

class Recorder implements Log {
  readonly level = "debug";
  readonly lines: Line[];
  readonly #fields: LogFields;

  constructor(lines: Line[] = [], fields: LogFields = {}) {
    this.lines = lines;
    this.#fields = fields;
  }

  readonly debug = (event: string, fields?: LogFields): void => {
    this.lines.push({ event, ...this.#fields, ...fields });
  };
  readonly info = this.debug;
  readonly warn = this.debug;
  readonly error = this.debug;

  child(fields: LogFields): Log {
    return new Recorder(this.lines, { ...this.#fields, ...fields });
  }
}

const program = fileURLToPath(new URL("testing-agent.test-data.mjs", import.meta.url));

/** A manifest of hosts 10.0.0.1, 10.0.0.2 and so on, whose agents have a proxy and behave as these words say. */
function mesh(hosts: Readonly<Record<string, readonly string[]>>, rest = ""): Manifest {
  const entries = Object.entries(hosts).map(([name, words], index) => {
    const cmd = JSON.stringify([process.execPath, program, ...words]);
    return `  ${name}: {vip: 10.0.0.${index + 1}, stateDir: {disable: true}, http: {listen: ":0"}, cmd: ${cmd}}`;
  });
  return parseManifest(`hosts:\n${entries.join("\n")}\n${rest}`, "test").manifest;
}

const running: {
  readonly manager: Manager;
  readonly registry: ReturnType<typeof createRegistry>;
}[] = [];
const folders: string[] = [];

interface Run {
  readonly manager: Manager;
  readonly log: Recorder;
  readonly metric: (name: string) => Promise<string>;
}

function run(...of: Parameters<typeof create>): Run {
  const created = create(...of);
  created.manager.start();
  return created;
}

/** A manager that has not been started. */
function create(
  manifest: Manifest,
  options: Partial<ManagerOptions> = {},
  clock: Clock = systemClock,
): Run {
  const log = new Recorder();
  const registry = createRegistry();
  const manager = new Manager({ clock, random: systemRandom, log, registry }, manifest, {
    self: [process.execPath, program],
    grace: millis(300),
    ...options,
  });
  running.push({ manager, registry });
  const metric = async (name: string): Promise<string> => {
    const lines = (await registry.metrics()).split("\n");
    return lines.find((line) => line.startsWith(`${name} `))?.slice(name.length + 1) ?? "";
  };
  return { manager, log, metric };
}

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), "norouter-manager-"));
  folders.push(path);
  return path;
}

function seen(log: Recorder, event: string, fields: LogFields = {}): Promise<Line> {
  return vi.waitFor(
    () => {
      const line = log.lines.find(
        (one) =>
          one.event === event && Object.entries(fields).every(([key, value]) => one[key] === value),
      );
      if (line === undefined) {
        throw new Error(`no ${event}: ${JSON.stringify(log.lines).slice(-4_000)}`);
      }
      return line;
    },
    { timeout: 15_000, interval: 20 },
  );
}

afterEach(async () => {
  for (const { manager, registry } of running.splice(0)) {
    await manager.stop();
    registry.clear();
  }
  for (const path of folders.splice(0)) rmSync(path, { recursive: true });
});

describe("a manager", () => {
  it("tells agents what to do and forwards between them, reserved bytes and all", async () => {
    const reserved = `420000180001beef4500${"00".repeat(10)}0a0000020a000001`;
    const { manager, log, metric } = run(
      mesh({ a: ["send=10.0.0.1,10.0.0.2,40"], b: [`raw=${reserved}`] }),
    );
    await manager.allReady;
    await seen(log, "norouter.agent.stderr", { host: "b", line: "got 10.0.0.1 > 10.0.0.2 40 0" });
    await seen(log, "norouter.agent.stderr", {
      host: "a",
      line: `got 10.0.0.2 > 10.0.0.1 20 48879`,
    });
    const { agents, pairs, dropped } = manager.status();
    expect(agents.map(({ name, state, version }) => [name, state, version])).toEqual([
      ["a", "ready", "test"],
      ["b", "ready", "test"],
    ]);
    const [pair] = pairs.filter(({ from }) => from === "a");
    expect(pair).toMatchObject({ from: "a", to: "b" });
    expect(pair!.bytes).toBe(pair!.packets * 40);
    expect(Object.values(dropped).every((count) => count === 0)).toBe(true);
    expect(await metric("culvert_norouter_agents_ready")).toBe("2");
    expect(Number(await metric("culvert_norouter_forwarded_packets_total"))).toBeGreaterThan(0);
    expect(Number(await metric("culvert_norouter_forwarded_bytes_total"))).toBeGreaterThan(0);
    expect(manager.notReady()).toEqual([]);
  });

  it("lets no agent speak for another", async () => {
    const { manager, log, metric } = run(mesh({ a: ["send=10.0.0.3,10.0.0.2"], b: [], c: [] }));
    await seen(log, "norouter.packet.dropped", {
      ...{ host: "a", reason: "foreign_source" },
      ...{ source: "10.0.0.3", destination: "10.0.0.2" },
    });
    expect(manager.status().dropped["foreign_source"]).toBeGreaterThan(0);
    expect(manager.status().pairs).toEqual([]);
    const name = 'culvert_norouter_dropped_packets_total{reason="foreign_source"}';
    expect(Number(await metric(name))).toBeGreaterThan(0);
  });

  it("lets a bastion answer for what is routed through it, and for what names have led to", async () => {
    const routes = 'routes: [{via: b, to: ["192.168.95.0/24", "*.corp.example"]}]';
    const { log, manager } = run(
      mesh(
        {
          a: ["send=10.0.0.1,172.16.0.9", "suggest=172.16.0.9,10.0.0.2"],
          b: ["send=192.168.95.7,10.0.0.1"],
          c: ["send=172.16.0.9,10.0.0.1"],
        },
        routes,
      ),
    );
    const line = "got 192.168.95.7 > 10.0.0.1 20 0";
    await seen(log, "norouter.agent.stderr", { host: "a", line });
    await seen(log, "norouter.agent.stderr", { host: "b", line: "got 10.0.0.1 > 172.16.0.9 20 0" });
    await seen(log, "norouter.packet.dropped", { host: "c", reason: "foreign_source" });
    expect(manager.status().learnedRoutes).toBe(1);
  });

  it("learns no route through a host that the manifest routes no names to", async () => {
    const { log, manager } = run(
      mesh({ a: ["suggest=8.8.8.8,10.0.0.1"] }, 'routes: [{via: a, to: ["10.9.0.0/16"]}]'),
    );
    const refused = { address: "8.8.8.8", via: "10.0.0.1", reason: "unknown_via" };
    await seen(log, "norouter.route.refused", refused);
    expect(manager.status().learnedRoutes).toBe(0);
  });

  it("learns no route to what the manifest routes elsewhere, nor of one who has no use for it", async () => {
    const routes = 'routes: [{via: b, to: ["*.corp.example"]}, {via: c, to: ["10.9.0.0/16"]}]';
    const manifest = mesh(
      { a: ["suggest=10.9.0.1,10.0.0.2"], b: [], c: ["suggest=8.8.8.8,10.0.0.2"] },
      routes,
    );
    const hosts = manifest.hosts.map((host) =>
      host.name === "c" ? { ...host, http: { listen: "" } } : host,
    );
    const { log, manager } = run({ ...manifest, hosts });
    await seen(log, "norouter.route.refused", { address: "10.9.0.1", reason: "routed_elsewhere" });
    await seen(log, "norouter.route.refused", { address: "8.8.8.8", reason: "no_proxy" });
    expect(manager.status().learnedRoutes).toBe(0);
  });

  it("learns no route to what every machine calls its own, says why and counts it", async () => {
    const routes = 'routes: [{via: b, to: ["*.corp.example"]}]';
    const { log, manager } = run(
      mesh({ a: ["suggest=127.0.0.1,10.0.0.2"], b: ["suggest=8.8.8.8,10.0.0.1"] }, routes),
    );
    const refused = { address: "127.0.0.1", via: "10.0.0.2", reason: "special_address" };
    await seen(log, "norouter.route.refused", refused);
    await seen(log, "norouter.route.refused", { host: "b", reason: "unknown_via" });
    expect(manager.status()).toMatchObject({
      learnedRoutes: 0,
      refusedRoutes: { special_address: 1, unknown_via: 1, no_proxy: 0, routed_elsewhere: 0 },
    });
  });

  it("forgets what an agent has suggested when it dies for good", async () => {
    const routes = 'routes: [{via: b, to: ["*.corp.example"]}]';
    const { log, manager } = run(mesh({ a: ["suggest=8.8.8.8,10.0.0.2", "die"], b: [] }, routes), {
      restart: false,
    });
    await seen(log, "norouter.route.learned", { host: "a", address: "8.8.8.8" });
    await seen(log, "norouter.agent.lost", { host: "a" });
    expect(manager.status().learnedRoutes).toBe(0);
  });

  it("leaves out what one agent brings about in plenty, and by that nothing of another", async () => {
    const now = systemClock.now();
    const flag = join(folder(), "a-has-had-its-say");
    const { log } = run(
      mesh({ a: ["send=10.0.0.9,10.0.0.2"], b: [`after=${flag}`, "send=10.0.0.9,10.0.0.1"] }),
      {},
      // Time that stands still: no line is ever due again.
      { ...systemClock, now: () => now },
    );
    const dropped = (host: string): number =>
      log.lines.filter((line) => line.event === "norouter.packet.dropped" && line["host"] === host)
        .length;
    await vi.waitFor(() => expect(dropped("a")).toBe(20), { timeout: 10_000 });
    writeFileSync(flag, "");
    await vi.waitFor(() => expect(dropped("b")).toBe(20), { timeout: 10_000 });
    expect(dropped("a")).toBe(20);
  });

  it("drops and counts what is too short, of another version or for nobody", async () => {
    const short = `raw=42000006000100004500`;
    const six = `raw=420000180001000060${"00".repeat(19)}`;
    const { log } = run(mesh({ a: [short], b: [six], c: ["send=10.0.0.3,10.7.7.7"] }));
    await seen(log, "norouter.packet.dropped", { host: "a", reason: "malformed", bytes: 2 });
    await seen(log, "norouter.packet.dropped", { host: "b", reason: "malformed", bytes: 20 });
    await seen(log, "norouter.packet.dropped", { host: "c", reason: "no_route" });
  });

  it("tells at once of an agent that dies, with its last words, and starts it again", async () => {
    const flag = join(folder(), "died");
    const { log, manager, metric } = run(mesh({ a: [`die-once=${flag}`], b: [] }));
    const lost = await seen(log, "norouter.agent.lost", { host: "a" });
    expect(lost).toMatchObject({ reason: "it exited with code 7", lastLine: "I am to die" });
    expect(lost["retryIn"]).toMatch(/^\d+(\.\d+)?m?s$/);
    await vi.waitFor(
      () => {
        expect(manager.status().agents[0]).toMatchObject({ state: "ready", restarts: 1 });
      },
      { timeout: 10_000 },
    );
    expect(await metric("culvert_norouter_agent_losses_total")).toBe("1");
    expect(log.lines.filter(({ event, host }) => event.endsWith("lost") && host === "b")).toEqual(
      [],
    );
  });

  it.each([
    [["refuse=port 80 is in use"], /^it cannot do what it was told: port 80 is in use$/],
    [["weak"], /^it cannot do what it was told: it lacks tcp$/],
    [["banner"], /begins with 0x42, not with 0x57; .* begins with "Welcome to this host!\\u\{a\}/],
    [[`raw=42ffffff00020000`], /16777211 bytes of payload; at most 65536/],
  ])("tells why an agent that says %j is none", async (words, reason) => {
    const { log } = run(mesh({ a: words }));
    const lost = await seen(log, "norouter.agent.lost", { host: "a" });
    expect(lost["reason"]).toMatch(reason);
  });

  it("tells why a command cannot be started", async () => {
    const text = `hosts: {a: {vip: 10.0.0.1, cmd: "/nowhere/norouter x"}, b: {vip: 10.0.0.2, cmd: "a\\0b"}}`;
    const { manifest } = parseManifest(text, "test");
    const { log } = run(manifest);
    const lost = await seen(log, "norouter.agent.lost", { host: "a" });
    expect(lost["reason"]).toMatch(
      /^it cannot be started: there is no program \/nowhere\/norouter,/,
    );
    const strange = await seen(log, "norouter.agent.lost", { host: "b" });
    expect(strange["reason"]).toMatch(/^it cannot be started: .*null bytes/);
  });

  it("starts its own program where a host has no command", async () => {
    const { log, manager } = run(parseManifest("hosts: {a: {vip: 10.0.0.1}}", "test").manifest);
    const line = await seen(log, "norouter.agent.starting");
    expect(line["command"]).toEqual([process.execPath, program, "agent", "--automated"]);
    await manager.allReady;
  });

  it("warns of an agent that does not answer, and of features that are missing", async () => {
    const silent = run(mesh({ a: ["silent"] }), { patience: millis(50) });
    const line = await seen(silent.log, "norouter.agent.silent", { host: "a" });
    expect(line["text"]).toMatch(/no answer within 50ms/);
    const routes = 'routes: [{via: a, to: ["*"]}]';
    const lacking = run(mesh({ a: [] }, routes));
    const lacks = await seen(lacking.log, "norouter.agent.lacks");
    expect(lacks["features"]).toEqual(["routes", "dns"]);
    await lacking.manager.allReady;
  });

  it("starts an agent again that does not answer for too long", async () => {
    const { log, manager } = run(mesh({ a: ["silent"], b: [] }), {
      patience: millis(20),
      startLimit: millis(100),
    });
    await seen(log, "norouter.agent.silent", { host: "a" });
    const lost = await seen(log, "norouter.agent.lost", { host: "a" });
    expect(lost["reason"]).toBe("it has not answered within 100ms");
    await vi.waitFor(() => expect(manager.status().agents[0]?.restarts).toBeGreaterThan(0), {
      timeout: 10_000,
    });
  });

  it("asks agents that are silent, and leaves be those that answer", async () => {
    const { log, manager } = run(mesh({ a: [], b: [] }), { silenceLimit: millis(4_000) });
    await manager.allReady;
    for (const host of ["a", "b"]) {
      const echoes = (): number =>
        log.lines.filter((line) => line["host"] === host && line["line"] === "echo").length;
      await vi.waitFor(() => expect(echoes()).toBeGreaterThan(5), { timeout: 20_000 });
    }
    expect(manager.status().agents.map(({ state, restarts }) => [state, restarts])).toEqual([
      ["ready", 0],
      ["ready", 0],
    ]);
    expect(manager.status().pairs).toEqual([]);
    expect(Object.values(manager.status().dropped).every((count) => count === 0)).toBe(true);
  });

  it("tells of an agent that hangs, ends its command and starts it again", async () => {
    const { log, manager } = run(mesh({ a: [], b: [] }), { silenceLimit: millis(4_000) });
    await manager.allReady;
    const { pid } = manager.status().agents[0]!;
    process.kill(pid!, "SIGSTOP");
    const stuck = await seen(log, "norouter.agent.stuck", { host: "a", restart: true });
    expect(stuck["reason"]).toBe("its command runs, but it has answered nothing for 4s");
    const lost = await seen(log, "norouter.agent.lost", { host: "a" });
    expect(lost["reason"]).toBe(stuck["reason"]);
    expect(() => process.kill(pid!, 0)).toThrow(/ESRCH/);
    await vi.waitFor(() => expect(manager.notReady()).toEqual([]), { timeout: 10_000 });
    expect(manager.status().agents.map(({ restarts }) => restarts)).toEqual([1, 0]);
  });

  it("leaves an agent that hangs alone where none is to be started again, until it goes on", async () => {
    const { log, manager } = run(mesh({ a: [] }), { restart: false, silenceLimit: millis(1_000) });
    await manager.allReady;
    const { pid } = manager.status().agents[0]!;
    process.kill(pid!, "SIGSTOP");
    try {
      await seen(log, "norouter.agent.stuck", { host: "a", restart: false });
      expect(manager.status().agents[0]).toMatchObject({
        state: "stuck",
        reason: "its command runs, but it has answered nothing for 1s",
        pid,
      });
      expect(manager.notReady()).toEqual(["a"]);
    } finally {
      process.kill(pid!, "SIGCONT");
    }
    await vi.waitFor(() => expect(manager.notReady()).toEqual([]), { timeout: 10_000 });
    expect(manager.status().agents[0]).toMatchObject({ state: "ready", restarts: 0, pid });
  });

  it("stalls nobody and keeps little while one agent does not read", async () => {
    const { log, manager } = run(
      mesh({ a: ["flood=10.0.0.1,10.0.0.2", "send=10.0.0.1,10.0.0.3"], b: ["stuck"], c: [] }),
      { egress: { maxBytes: 1_000_000 } },
    );
    await seen(log, "norouter.packet.dropped", { host: "a", reason: "queue_full" });
    await seen(log, "norouter.agent.stderr", { host: "c", line: "got 10.0.0.1 > 10.0.0.3 20 0" });
    const count = (): number => manager.status().pairs.find(({ to }) => to === "c")!.packets;
    const before = count();
    await vi.waitFor(() => expect(count()).toBeGreaterThan(before), { timeout: 10_000 });
    const stuck = manager.status().agents[1]!;
    expect(stuck.queuedBytes).toBeLessThanOrEqual(1_000_000);
    expect(stuck.droppedPackets).toBeGreaterThan(0);
  });

  it("ends agents by the end of their input, and kills those that stay", async () => {
    const { log, manager } = run(mesh({ a: [], b: ["stay"] }));
    await manager.allReady;
    const pids = manager.status().agents.map(({ pid }) => pid!);
    await manager.stop();
    for (const pid of pids) expect(() => process.kill(pid, 0)).toThrow(/ESRCH/);
    for (const host of ["a", "b"]) {
      await seen(log, "norouter.agent.stderr", { host, line: "end of input" });
    }
    expect(log.lines.filter(({ event }) => event === "norouter.agent.lost")).toEqual([]);
  });

  it("leaves nothing behind that a command has started", async () => {
    const { log, manager } = run(mesh({ a: ["wrapper"], b: ["wrapper", "stay"] }));
    await manager.allReady;
    const inner = log.lines
      .map(({ line }) => Number(/^inner (\d+)$/.exec(String(line))?.[1]))
      .filter((pid) => pid > 0);
    expect(inner).toHaveLength(2);
    await manager.stop();
    await vi.waitFor(
      () => {
        for (const pid of inner) expect(() => process.kill(pid, 0)).toThrow(/ESRCH/);
      },
      { timeout: 10_000 },
    );
  });

  it("tells when the last agent has ended, where none is to be started again", async () => {
    const { log, manager } = run(mesh({ a: ["die"], b: ["die"] }), { restart: false });
    await manager.allGone;
    expect(log.lines.filter(({ event }) => event === "norouter.agent.lost")).toHaveLength(2);
    expect(manager.status().agents.map(({ state }) => state)).toEqual(["gone", "gone"]);
  });
});

describe("another manifest", () => {
  function without(manifest: Manifest, name: string): Manifest {
    return { ...manifest, hosts: manifest.hosts.filter((host) => host.name !== name) };
  }

  function changed(manifest: Manifest, name: string, change: Partial<ManifestHost>): Manifest {
    const hosts = manifest.hosts.map((host) =>
      host.name === name ? { ...host, ...change } : host,
    );
    return { ...manifest, hosts };
  }

  it("starts again only the agents for which something is new", async () => {
    const manifest = mesh({ a: [], b: [], c: [] });
    const { manager } = run(manifest);
    await manager.allReady;
    const before = manager.status().agents.map(({ pid }) => pid);
    expect(await manager.reload(manifest)).toMatchObject({ kept: ["a", "b", "c"], restarted: [] });
    const summary = await manager.reload(changed(manifest, "b", { http: { listen: ":1" } }));
    expect(summary).toEqual({ added: [], removed: [], restarted: ["b"], kept: ["a", "c"] });
    await vi.waitFor(() => expect(manager.notReady()).toEqual([]), { timeout: 10_000 });
    const after = new Map(manager.status().agents.map(({ name, pid }) => [name, pid]));
    expect(after.get("a")).toBe(before[0]);
    expect(after.get("b")).not.toBe(before[1]);
    expect(after.get("c")).toBe(before[2]);
  });

  it("adds and removes hosts, and routes as it says", async () => {
    const manifest = mesh({ a: ["send=10.0.0.1,10.0.0.3"], b: [], c: [] });
    const { manager, log } = run(without(manifest, "c"));
    await seen(log, "norouter.packet.dropped", { host: "a", reason: "no_route" });
    expect(await manager.reload(manifest)).toMatchObject({ added: ["c"], removed: [] });
    await seen(log, "norouter.agent.stderr", { host: "c", line: "got 10.0.0.1 > 10.0.0.3 20 0" });
    const pid = manager.status().agents.find(({ name }) => name === "b")!.pid!;
    expect(await manager.reload(without(manifest, "b"))).toMatchObject({ removed: ["b"] });
    expect(() => process.kill(pid, 0)).toThrow(/ESRCH/);
    expect(log.lines.filter(({ event }) => event === "norouter.agent.lost")).toEqual([]);
  });

  it("forgets the routes that a host suggested which it no longer has, or has without a proxy", async () => {
    const routes = 'routes: [{via: b, to: ["*.corp.example"]}]';
    const manifest = mesh(
      { a: ["suggest=8.8.8.8,10.0.0.2"], b: [], c: ["suggest=8.8.4.4,10.0.0.2"] },
      routes,
    );
    const { manager, log } = run(manifest);
    const learned = (host: string): number =>
      log.lines.filter((line) => line.event === "norouter.route.learned" && line["host"] === host)
        .length;
    await vi.waitFor(() => expect([learned("a"), learned("c")]).toEqual([1, 1]), {
      timeout: 10_000,
    });
    const next = changed(without(manifest, "a"), "c", { http: { listen: "" } });
    await manager.reload(next);
    expect(manager.status().learnedRoutes).toBe(0);
    await seen(log, "norouter.route.refused", { host: "c", reason: "no_proxy" });
    expect(manager.status().learnedRoutes).toBe(0);
  });

  it("is taken up though an agent that goes cannot be killed, which is told", async () => {
    const manifest = mesh({ a: [], b: ["stay"] });
    const { manager, log } = run(manifest);
    await manager.allReady;
    const { pid } = manager.status().agents[1]!;
    // What a command that has changed its user brings: the system refuses.
    const kill = vi.spyOn(process, "kill").mockImplementation(() => {
      throw Object.assign(new Error("kill EPERM"), { code: "EPERM" });
    });
    try {
      expect(await manager.reload(without(manifest, "b"))).toMatchObject({ removed: ["b"] });
      const told = await seen(log, "norouter.agent.left", { host: "b" });
      expect(told["reason"]).toBe(`it cannot be ended, and is left behind as process ${pid}`);
    } finally {
      kill.mockRestore();
      process.kill(pid!, "SIGKILL");
    }
  });

  it.each([true, false])(
    "that comes before the start starts nothing twice, be it taken up by then (%s) or not",
    async (isAwaited) => {
      const { manager, log } = create(mesh({ a: [], b: [] }));
      const early = manager.reload(mesh({ b: [], c: [] }));
      if (isAwaited) {
        expect(await early).toEqual({ added: ["c"], removed: ["a"], restarted: [], kept: ["b"] });
        expect(manager.status().agents).toEqual([]);
      }
      manager.start();
      await early;
      await vi.waitFor(() => expect(manager.notReady()).toEqual([]), { timeout: 10_000 });
      expect(manager.status().agents.map(({ name }) => name)).toEqual(["b", "c"]);
      await manager.stop();
      const starts = log.lines.filter(({ event }) => event === "norouter.agent.starting");
      for (const { pid } of starts) expect(() => process.kill(Number(pid), 0)).toThrow(/ESRCH/);
      const started = starts.map(({ host }) => host);
      expect(started).toEqual(isAwaited ? ["b", "c"] : ["a", "b", "b", "c"]);
    },
  );

  it("starts nothing once it has ended, nor twice", async () => {
    const { manager, log } = create(mesh({ a: [] }));
    manager.start();
    manager.start();
    await manager.allReady;
    await manager.stop();
    manager.start();
    expect(manager.status().agents.map(({ pid }) => pid)).toEqual([undefined]);
    expect(log.lines.filter(({ event }) => event === "norouter.agent.starting")).toHaveLength(1);
  });

  it("takes the last of several, and none once it is to end", async () => {
    const manifest = mesh({ a: [], b: [] });
    const { manager } = run(manifest);
    const changes = ["b", "a"].map((name) => manager.reload(without(manifest, name)));
    await Promise.all(changes);
    expect(manager.status().agents.map(({ name }) => name)).toEqual(["b"]);
    const late = manager.reload(manifest);
    await manager.stop();
    await late;
    for (const { pid } of manager.status().agents) expect(pid).toBeUndefined();
  });
});
