import { describe, expect, test } from "vitest";
import { Timestamps } from "./timestamps.ts";

const day = 24 * 3_600_000;

function agreed(value: number): Timestamps {
  const timestamps = new Timestamps(0xffff_fff0);
  timestamps.begin(value, 0);
  return timestamps;
}

describe("timestamps (RFC 7323)", () => {
  test("count milliseconds from their start, and echo the latest of the peer", () => {
    const timestamps = agreed(7);
    expect(timestamps.option(0)).toEqual({ value: 0xffff_fff0, echo: 7 });
    timestamps.remember(9, 0);
    expect(timestamps.option(20.9)).toEqual({ value: 4, echo: 9 });
  });

  test("tell old from new across the wrap", () => {
    const timestamps = agreed(0xffff_fffe);
    expect(timestamps.isOld(0xffff_fffd, 0)).toBe(true);
    expect(timestamps.isOld(0xffff_fffe, 0)).toBe(false);
    expect(timestamps.isOld(3, 0)).toBe(false);
    timestamps.remember(0xffff_fff0, 0);
    expect(timestamps.option(0).echo).toBe(0xffff_fffe);
    timestamps.remember(3, 0);
    expect(timestamps.isOld(0xffff_fffe, 0)).toBe(true);
  });

  test("believe any value after 24 idle days (§5.5)", () => {
    const timestamps = agreed(1_000);
    expect(timestamps.isOld(10, 24 * day - 1)).toBe(true);
    expect(timestamps.isOld(10, 24 * day)).toBe(false);
    timestamps.remember(10, 24 * day);
    expect(timestamps.option(0).echo).toBe(10);
  });

  test("give the round-trip time of an echo, and none of nonsense", () => {
    const timestamps = agreed(1);
    const { value } = timestamps.option(100);
    expect(timestamps.rttMs(value, 150)).toBe(50);
    expect(timestamps.rttMs(0, 150)).toBeUndefined();
    expect(timestamps.rttMs(value + 100, 150)).toBeUndefined();
    expect(timestamps.rttMs(value - 700_000, 150)).toBeUndefined();
    expect(new Timestamps(0).rttMs(100, 150)).toBeUndefined();
  });

  test("tell whether a SYN is of a later connection (RFC 6191)", () => {
    expect([agreed(5).isLater(6), agreed(5).isLater(5), agreed(5).isLater(4)]).toEqual([
      true,
      false,
      false,
    ]);
  });
});
