import { describe, expect, test } from "vitest";
import { RttEstimator } from "./rtt-estimator.ts";

const bounds = { initialMs: 1_000, minMs: 200, maxMs: 60_000 };

describe("the retransmission time-out (RFC 6298)", () => {
  test("is the initial one before any sample", () => {
    expect(new RttEstimator(bounds).rtoMs).toBe(1_000);
  });

  test("follows the first sample by R + 4 * R/2, and others by the weights of §2.3", () => {
    const rtt = new RttEstimator(bounds);
    rtt.sample(400);
    expect([rtt.smoothedMs, rtt.rtoMs]).toEqual([400, 1_200]);
    rtt.sample(800);
    // RTTVAR = 0.75 * 200 + 0.25 * 400 = 250; SRTT = 0.875 * 400 + 0.125 * 800 = 450.
    expect([rtt.smoothedMs, rtt.rtoMs]).toEqual([450, 1_450]);
  });

  test("stays within its bounds", () => {
    const rtt = new RttEstimator(bounds);
    rtt.sample(1);
    expect(rtt.rtoMs).toBe(200);
    rtt.sample(1_000_000);
    expect(rtt.rtoMs).toBe(60_000);
  });

  test("doubles with each expiry up to its bound, and a sample ends that", () => {
    const rtt = new RttEstimator(bounds);
    rtt.sample(100);
    const seen = [rtt.rtoMs];
    for (let count = 0; count < 9; count += 1) {
      rtt.backOff();
      seen.push(rtt.rtoMs);
    }
    expect(seen).toEqual([300, 600, 1_200, 2_400, 4_800, 9_600, 19_200, 38_400, 60_000, 60_000]);
    rtt.sample(100);
    expect(rtt.rtoMs).toBe(250);
  });

  test("is three seconds after a lost SYN that gave no sample (§5.7)", () => {
    const rtt = new RttEstimator(bounds);
    rtt.backOff();
    rtt.distrustAfterLostSyn();
    expect(rtt.rtoMs).toBe(3_000);
    rtt.sample(100);
    rtt.distrustAfterLostSyn();
    expect(rtt.rtoMs).toBe(300);
  });
});
