import { describe, expect, test } from "vitest";
import { KeepAlive } from "./keep-alive.ts";

describe("keep-alive (RFC 9293 §3.8.4)", () => {
  test("is due after silence, which every sign of life begins anew", () => {
    const keepAlive = new KeepAlive(100_000);
    expect(keepAlive.dueMs).toBe(Infinity);
    keepAlive.heard(1_000);
    expect(keepAlive.dueMs).toBe(101_000);
    keepAlive.heard(50_000);
    expect(keepAlive.dueMs).toBe(150_000);
  });

  test("asks nine times, every 75 seconds at the most, and then gives up", () => {
    const keepAlive = new KeepAlive(100_000);
    keepAlive.heard(0);
    const times: number[] = [];
    while (keepAlive.probe(keepAlive.dueMs)) times.push(keepAlive.dueMs);
    expect(times).toHaveLength(9);
    expect(times[0]).toBe(175_000);
    keepAlive.heard(0);
    expect(keepAlive.probe(100_000)).toBe(true);
  });

  test("asks as often as it waits where that is less", () => {
    const keepAlive = new KeepAlive(1_000);
    keepAlive.heard(0);
    keepAlive.probe(1_000);
    expect(keepAlive.dueMs).toBe(2_000);
  });

  test("is off at 0", () => {
    const keepAlive = new KeepAlive(1_000);
    keepAlive.heard(0);
    keepAlive.set(0, 10);
    expect(keepAlive.dueMs).toBe(Infinity);
  });
});
