import { EventEmitter } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadRelayConfig, type RelayConfig } from "@culvert/config";
import { generateIdentity } from "@culvert/identity";
import { systemClock, systemRandom, TransportError } from "@culvert/runtime";
import { queryStatus, silentLog, type Log, type LogFields } from "@culvert/telemetry";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Daemon } from "./daemon.ts";
import { runDaemon } from "./daemon-process.ts";

/** A process whose signals and exit belong to the test. */
class FakeHost extends EventEmitter {
  readonly pid = 42;
  readonly exits: number[] = [];
  output = "";
  readonly stdout = { write: (text: string) => void (this.output += text) };
  readonly exit = (code: number): void => void this.exits.push(code);
}

class FakeDaemon implements Daemon {
  readonly calls: string[] = [];
  reasons: string[] = ["not attached"];
  finishDrain: () => void = () => undefined;
  becomeReady!: (text: string) => void;
  readonly ready = new Promise<string>((resolve) => (this.becomeReady = resolve));
  failure: Error | undefined;
  closeFailure: Error | undefined;

  start(): Promise<void> {
    this.calls.push("start");
    return this.failure === undefined ? Promise.resolve() : Promise.reject(this.failure);
  }

  notReady(): readonly string[] {
    return this.reasons;
  }

  status(): object {
    return { role: "relay" };
  }

  drain(): Promise<void> {
    this.calls.push("drain");
    return new Promise((resolve) => (this.finishDrain = resolve));
  }

  close(): Promise<void> {
    this.calls.push("close");
    return this.closeFailure === undefined ? Promise.resolve() : Promise.reject(this.closeFailure);
  }
}

let folder = "";
let config: RelayConfig;
let host: FakeHost;
let daemon: FakeDaemon;
let events: { readonly event: string; readonly fields: LogFields | undefined }[];

const record = (event: string, fields?: LogFields): void => void events.push({ event, fields });
const log: Log = {
  ...silentLog,
  info: record,
  warn: record,
  error: record,
  child: () => log,
};

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "culvert-daemon-"));
  const file = join(folder, "relay.yaml");
  writeFileSync(file, "identity: { keyFile: k }\nadmin: { listen: '127.0.0.1:0' }\n");
  config = loadRelayConfig({ file });
  host = new FakeHost();
  daemon = new FakeDaemon();
  events = [];
});

afterEach(() => rmSync(folder, { recursive: true }));

function run(): Promise<number> {
  const identity = generateIdentity();
  return runDaemon(
    config,
    {
      host,
      clock: systemClock,
      random: systemRandom,
      log,
      identity,
      software: "culvert/test",
    },
    () => daemon,
  );
}

async function until(condition: () => boolean): Promise<void> {
  const endAt = performance.now() + 5_000;
  while (!condition()) {
    if (performance.now() > endAt) throw new Error("the condition did not come true in 5 s");
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const seen = (event: string) => events.find((entry) => entry.event === event);

test("from start to drained end: one ready line, a status that answers, exit code 0", async () => {
  const running = run();
  await until(() => daemon.calls.includes("start") && seen("admin.listening") !== undefined);
  expect(host.output).toBe("");
  const { port } = seen("admin.listening")!.fields as { port: number };
  const readyz = () => fetch(`http://127.0.0.1:${port}/readyz`);
  expect(await (await readyz()).text()).toBe("not attached\n");

  daemon.reasons = [];
  daemon.becomeReady("relay udp 127.0.0.1:1");
  await until(() => host.output !== "");
  expect(host.output).toBe("ready relay udp 127.0.0.1:1\n");
  expect((await readyz()).status).toBe(200);
  expect(await queryStatus(config.control.socket)).toMatchObject({
    role: "relay",
    process: { pid: 42, software: "culvert/test", notReady: [], configFile: config.file },
  });

  host.emit("SIGTERM", "SIGTERM");
  await until(() => daemon.calls.includes("drain"));
  expect(await (await readyz()).text()).toBe("draining\n");
  daemon.finishDrain();
  expect(await running).toBe(0);
  expect(daemon.calls).toEqual(["start", "drain", "close"]);
  expect(existsSync(config.control.socket)).toBe(false);
  expect(host.exits).toEqual([]);
  expect(host.eventNames()).toEqual([]);
  expect(events.map(({ event }) => event)).toEqual([
    "daemon.starting",
    "config.effective",
    "status.listening",
    "admin.listening",
    "daemon.ready",
    "daemon.draining",
    "daemon.stopped",
  ]);
});

test.each(["SIGTERM", "SIGINT", "SIGHUP"])(
  "a second signal after %s ends at once with 1",
  async (first) => {
    const running = run();
    await until(() => daemon.calls.includes("start"));
    host.emit(first, first);
    await until(() => daemon.calls.includes("drain"));
    expect(host.exits).toEqual([]);
    host.emit("SIGINT", "SIGINT");
    expect(host.exits).toEqual([1]);
    daemon.finishDrain();
    await running;
  },
);

test("a start that fails is the caller's to tell, and leaves nothing behind", async () => {
  daemon.failure = new TransportError("address_in_use", "127.0.0.1:1 is in use");
  await expect(run()).rejects.toBe(daemon.failure);
  expect(existsSync(config.control.socket)).toBe(false);
  expect(host.output).toBe("");
  expect(daemon.calls).toEqual(["start", "close"]);
});

test("a second daemon with the same configuration is refused, and the first is not disturbed", async () => {
  const first = run();
  await until(() => daemon.calls.includes("start"));
  const other = daemon;
  daemon = new FakeDaemon();
  await expect(run()).rejects.toMatchObject({ code: "address_in_use" });
  expect(daemon.calls).toEqual([]);
  expect(await queryStatus(config.control.socket)).toMatchObject({ role: "relay" });
  host.emit("SIGTERM", "SIGTERM");
  await until(() => other.calls.includes("drain"));
  other.finishDrain();
  expect(await first).toBe(0);
});

test("an end that is not clean is exit code 1", async () => {
  daemon.closeFailure = new Error("stuck");
  const running = run();
  await until(() => daemon.calls.includes("start"));
  host.emit("SIGTERM", "SIGTERM");
  await until(() => daemon.calls.includes("drain"));
  daemon.finishDrain();
  expect(await running).toBe(1);
});

test("what a peer or the network caused is logged and outlived; a defect ends the process with 1", async () => {
  const running = run();
  await until(() => seen("admin.listening") !== undefined && daemon.calls.includes("start"));
  const { port } = seen("admin.listening")!.fields as { port: number };
  const reset = Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" });
  host.emit("uncaughtException", reset);
  host.emit("unhandledRejection", new TransportError("stream_reset", "reset by peer"));
  expect(host.exits).toEqual([]);
  expect(seen("daemon.fault")?.fields).toEqual({ error: reset });
  const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  expect(metrics).toContain("culvert_faults_survived_total 2");

  host.emit("uncaughtException", new TypeError("undefined is not a function"));
  expect(host.exits).toEqual([1]);
  expect(seen("daemon.failed")).toBeDefined();
  host.emit("SIGTERM", "SIGTERM");
  await until(() => daemon.calls.includes("drain"));
  daemon.finishDrain();
  await running;
});
