import { describe, expect, test } from "vitest";
import { TailLossProbe } from "./tail-loss-probe.ts";

describe("the probe of a tail (RFC 8985 §7)", () => {
  test("waits two round trips, and of a single segment for an acknowledgement held back too", () => {
    const probe = new TailLossProbe();
    expect([probe.delayMs(100, 2), probe.delayMs(100, 1), probe.delayMs(0.1, 2)]).toEqual([
      200, 240, 10,
    ]);
  });

  test("that was new tells of no loss", () => {
    const probe = new TailLossProbe();
    probe.sent(100, false);
    expect(probe.isUnderWay).toBe(true);
    expect(probe.acknowledged(99, false, false)).toBe(false);
    expect(probe.isUnderWay).toBe(true);
    expect(probe.acknowledged(100, false, false)).toBe(false);
    expect(probe.isUnderWay).toBe(false);
  });

  test("that replaced a lost segment tells so when more is acknowledged", () => {
    const probe = new TailLossProbe();
    probe.sent(100, true);
    expect(probe.acknowledged(100, false, false)).toBe(false);
    expect(probe.isUnderWay).toBe(true);
    expect(probe.acknowledged(200, false, false)).toBe(true);
    expect(probe.isUnderWay).toBe(false);
  });

  test.each([
    ["acknowledged twice", true, false],
    ["reported as a duplicate", false, true],
  ])("that was needless, since %s, tells of no loss", (_how, twice, told) => {
    const probe = new TailLossProbe();
    probe.sent(100, true);
    probe.acknowledged(100, false, false);
    expect(probe.acknowledged(100, twice, told)).toBe(false);
    expect(probe.isUnderWay).toBe(false);
    expect(probe.acknowledged(200, false, false)).toBe(false);
  });
});
