import { Writable } from "node:stream";
import { ConfigError } from "@culvert/runtime";
import { expect, test, vi } from "vitest";
import { createLog, type LogOptions } from "./create-log.ts";

class Lines extends Writable {
  text = "";
  isTTY = false;

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }

  get objects(): Record<string, unknown>[] {
    return this.text
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  }
}

function logTo(destination: Lines, options: Partial<LogOptions> = {}) {
  return createLog({
    level: "info",
    format: "auto",
    destination,
    clock: { wallNowMs: () => 1_700_000_000_000 },
    fields: { role: "relay" },
    ...options,
  });
}

test("a line is one JSON object with level, time, the fields of the log and its own", () => {
  const lines = new Lines();
  const log = logTo(lines);
  log.info("relay.started", { port: 30_380 });
  log.debug("link.dialing");
  expect(lines.objects).toEqual([
    {
      level: "info",
      time: "2023-11-14T22:13:20.000Z",
      role: "relay",
      event: "relay.started",
      port: 30_380,
    },
  ]);
});

test("a child adds its fields to each of its lines, and keeps the level", () => {
  const lines = new Lines();
  const child = logTo(lines, { level: "warn" }).child({ session: "s1" });
  child.info("relay.session.opened");
  child.warn("relay.session.refused", { peer: "p" });
  expect(child.level).toBe("warn");
  expect(lines.objects).toMatchObject([
    { event: "relay.session.refused", session: "s1", peer: "p", role: "relay" },
  ]);
});

test("secrets are redacted at every depth a configuration has", () => {
  const lines = new Lines();
  logTo(lines).info("config.effective", {
    token: "t-1",
    socks: { password: "t-2", deep: { secret: "t-3" } },
  });
  expect(lines.text).not.toMatch(/t-[123]/);
  expect(lines.objects).toMatchObject([{ socks: { deep: { secret: "[redacted]" } } }]);
});

test("an error is written with its code, data and causes, and a foreign one with its stack", () => {
  const lines = new Lines();
  const cause = Object.assign(new Error("no such file"), { code: "ENOENT" });
  const ours = new ConfigError("unreadable_file", "cannot read a.yaml", {
    data: { file: "a.yaml" },
    cause,
  });
  const log = logTo(lines);
  log.error("daemon.failed", { error: ours });
  log.error("daemon.fault", { error: new Error("odd"), cause: "finished" });
  expect(lines.objects[0]!["error"]).toEqual({
    name: "ConfigError",
    message: "cannot read a.yaml",
    code: "unreadable_file",
    data: { file: "a.yaml" },
    cause: { name: "Error", message: "no such file", code: "ENOENT" },
  });
  expect(lines.objects[1]).toMatchObject({ cause: "finished" });
  expect(lines.objects[1]!["error"]).toHaveProperty("stack", expect.stringContaining("odd"));
});

test("a terminal gets readable lines, written at once", () => {
  const lines = new Lines();
  lines.isTTY = true;
  logTo(lines).info("relay.started", { port: 30_380 });
  expect(lines.text).toContain("relay.started");
  expect(lines.text).toContain("port=30380");
  expect(lines.text).not.toMatch(/^\{/);
  expect(lines.text.trimEnd().split("\n")).toHaveLength(1);
});

test("a log whose reader went away is silent and does no harm", () => {
  const lines = new Lines();
  const log = logTo(lines);
  lines.destroy(new Error("EPIPE"));
  expect(() => log.info("relay.started")).not.toThrow();
});

class Gatherer {
  readonly delays: number[] = [];
  fire: () => void = () => undefined;
  exit: () => void = () => undefined;

  readonly gather = {
    clock: {
      setTimer: (delay: number, fire: () => void) => {
        this.delays.push(delay);
        this.fire = fire;
        return { cancel: () => undefined };
      },
    },
    atExit: (flush: () => void) => (this.exit = flush),
  };
}

test("lines that come close together are written together", () => {
  const lines = new Lines();
  const writes = vi.spyOn(lines, "write");
  const gatherer = new Gatherer();
  const log = logTo(lines, { gather: gatherer.gather });
  for (const round of [1, 2]) {
    for (const port of [1, 2, 3]) log.child({ port }).info("relay.started");
    expect(writes).toHaveBeenCalledTimes(round - 1);
    gatherer.fire();
    expect(writes).toHaveBeenCalledTimes(round);
  }
  expect(gatherer.delays).toHaveLength(2);
  expect(Math.max(...gatherer.delays)).toBeLessThan(50);
  expect(lines.objects.map(({ port }) => port)).toEqual([1, 2, 3, 1, 2, 3]);
});

test("warnings and errors do not wait, nor do the lines before them", () => {
  for (const level of ["warn", "error"] as const) {
    const lines = new Lines();
    const log = logTo(lines, { gather: new Gatherer().gather });
    log.info("daemon.starting");
    log[level]("daemon.failed");
    expect(lines.objects.map(({ event }) => event)).toEqual(["daemon.starting", "daemon.failed"]);
  }
});

test("what waits when the process exits is written then", () => {
  const lines = new Lines();
  const gatherer = new Gatherer();
  const log = logTo(lines, { gather: gatherer.gather });
  log.info("daemon.stopped");
  gatherer.exit();
  expect(lines.objects).toMatchObject([{ event: "daemon.stopped" }]);
  gatherer.fire();
  expect(lines.objects).toHaveLength(1);
});

test("much at once does not wait", () => {
  const lines = new Lines();
  const log = logTo(lines, { gather: new Gatherer().gather });
  for (let count = 0; count < 100; count += 1) {
    log.info("config.warning", { warning: "x".repeat(1_000) });
  }
  expect(lines.objects.length).toBeGreaterThanOrEqual(50);
});
