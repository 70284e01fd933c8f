import { EventEmitter } from "node:events";
import { expect, test } from "vitest";
import { StopSignals } from "./stop-signals.ts";

test("Windows has Ctrl-Break where others have a terminal that closes", async () => {
  for (const [platform, signal] of [
    ["win32", "SIGBREAK"],
    ["linux", "SIGHUP"],
  ] as const) {
    const source = new EventEmitter();
    const seconds: string[] = [];
    const signals = new StopSignals(source, (second) => void seconds.push(second), platform);
    expect(source.eventNames()).toEqual(["SIGTERM", "SIGINT", signal]);
    source.emit(signal, signal);
    source.emit("SIGINT", "SIGINT");
    expect(await signals.first).toBe(signal);
    expect(seconds).toEqual(["SIGINT"]);
    signals.release();
    expect(source.eventNames()).toEqual([]);
  }
});
