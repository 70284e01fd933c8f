import { describe, expect, test } from "vitest";
import { CubicWindow } from "./cubic.ts";

const mss = 1_000;

/** Acknowledges whole windows, one each `rttMs`, and returns the window after each. */
function rounds(cubic: CubicWindow, count: number, fromMs: number, rttMs: number): number[] {
  return Array.from({ length: count }, (_, index) => {
    for (let left = cubic.windowBytes; left > 0; left -= mss) {
      cubic.acknowledged(mss, fromMs + index * rttMs, rttMs);
    }
    return cubic.windowBytes;
  });
}

/** In congestion avoidance, having lost at `segments`. */
function afterLossAt(segments: number): CubicWindow {
  const cubic = new CubicWindow(mss, 1e9);
  while (cubic.windowBytes < segments * mss) cubic.acknowledged(mss, 0, 100);
  cubic.lost(segments * mss);
  return cubic;
}

describe("the congestion window (RFC 9438)", () => {
  test("begins with ten segments and doubles each round trip in slow start", () => {
    const cubic = new CubicWindow(mss, 1e9);
    expect(cubic.windowBytes).toBe(10 * mss);
    expect(rounds(cubic, 3, 0, 100)).toEqual([20 * mss, 40 * mss, 80 * mss]);
  });

  test("never exceeds its bound", () => {
    const cubic = new CubicWindow(mss, 25 * mss);
    expect(rounds(cubic, 3, 0, 100)).toEqual([20 * mss, 25 * mss, 25 * mss]);
  });

  test("grows by at most eight segments for one acknowledgement", () => {
    const cubic = new CubicWindow(mss, 1e9);
    cubic.acknowledged(50 * mss, 0, 100);
    expect(cubic.windowBytes).toBe(18 * mss);
  });

  test("is seven tenths of the flight after a loss, two segments at least", () => {
    const cubic = afterLossAt(100);
    expect([cubic.windowBytes, cubic.thresholdBytes]).toEqual([70 * mss, 70 * mss]);
    cubic.lost(mss);
    expect(cubic.windowBytes).toBe(2 * mss);
  });

  test("is one segment after a time-out, and slow start leads back to the threshold", () => {
    const cubic = afterLossAt(100);
    cubic.timedOut(60 * mss);
    expect([cubic.windowBytes, cubic.thresholdBytes]).toEqual([mss, 42 * mss]);
    cubic.acknowledged(mss, 0, 100);
    expect(cubic.windowBytes).toBe(2 * mss);
  });

  test("comes back to its former size in K seconds: fast, then flat, then fast again", () => {
    const cubic = afterLossAt(1_000);
    // K = cbrt(300 / 0.4) = 9.09 s.
    const windows = rounds(cubic, 180, 0, 100);
    const at = (seconds: number): number => windows[seconds * 10 - 1] ?? 0;
    expect(at(9)).toBeGreaterThan(990 * mss);
    expect(at(9)).toBeLessThan(1_010 * mss);
    expect(at(3) - cubic.thresholdBytes).toBeGreaterThan(190 * mss);
    expect(at(10) - at(8)).toBeLessThan(5 * mss);
    expect(at(18) - at(16)).toBeGreaterThan(100 * mss);
  });

  test("grows as Reno would where that is faster (§4.3)", () => {
    const cubic = afterLossAt(20);
    // 14 segments, 0.53 segments a round trip of 1 ms: the cubic curve has hardly begun.
    const windows = rounds(cubic, 8, 0, 1);
    expect(windows.at(-1)).toBeGreaterThan(17 * mss);
    expect(windows.at(-1)).toBeLessThan(19 * mss);
  });

  test("gives way when a loss comes below the former window (§4.7)", () => {
    const [yielding, holding] = [afterLossAt(1_000), afterLossAt(700)];
    yielding.lost(700 * mss);
    // Both have 490 segments; the plateau of one is 595, that of the other 700.
    expect(yielding.windowBytes).toBe(490 * mss);
    const yielded = rounds(yielding, 60, 0, 100).at(-1) ?? 0;
    const held = rounds(holding, 60, 0, 100).at(-1) ?? 0;
    expect(yielded).toBeLessThan(600 * mss);
    expect(held).toBeGreaterThan(650 * mss);
  });

  test("begins anew after idleness (RFC 5681 §4.1)", () => {
    const cubic = new CubicWindow(mss, 1e9);
    rounds(cubic, 5, 0, 100);
    cubic.restartAfterIdle();
    expect(cubic.windowBytes).toBe(10 * mss);
  });
});
