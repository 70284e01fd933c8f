import { describe, expect, test } from "vitest";
import { RttEstimator } from "./rtt-estimator.ts";
import { RttSamples } from "./rtt-samples.ts";

function setUp(): { rtt: RttEstimator; samples: RttSamples } {
  const rtt = new RttEstimator({ initialMs: 1_000, minMs: 200, maxMs: 60_000 });
  return { rtt, samples: new RttSamples(rtt) };
}

describe("samples of the round-trip time", () => {
  test("are taken of one segment at a time, when all of it is acknowledged (RFC 6298 §3)", () => {
    const { rtt, samples } = setUp();
    samples.sent(101, 1_000);
    samples.sent(201, 1_050);
    samples.acknowledged(1, 100, undefined, 1_070);
    expect(rtt.smoothedMs).toBe(0);
    samples.acknowledged(100, 201, undefined, 1_080);
    expect(rtt.smoothedMs).toBe(80);
  });

  test("are taken by timestamps where none is timed (RFC 7323 §4)", () => {
    const { rtt, samples } = setUp();
    samples.acknowledged(1, 101, 60, 2_000);
    expect(rtt.smoothedMs).toBe(60);
  });

  test("of what was sent again are those of its last sending only", () => {
    const { rtt, samples } = setUp();
    samples.sent(101, 1_000);
    samples.sentAgain(101, 3_000);
    samples.acknowledged(1, 51, 2_040, 3_040);
    expect(rtt.smoothedMs).toBe(0);
    samples.acknowledged(51, 101, 40, 3_040);
    expect(rtt.smoothedMs).toBe(40);
  });

  test("are not taken of what the peer need not take at once", () => {
    const { rtt, samples } = setUp();
    samples.sent(2, 1_000);
    samples.distrust();
    samples.acknowledged(1, 2, undefined, 9_000);
    expect(rtt.smoothedMs).toBe(0);
  });
});
