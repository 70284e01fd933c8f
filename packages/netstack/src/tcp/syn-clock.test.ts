import { expect, test } from "vitest";
import { RttEstimator } from "./rtt-estimator.ts";
import { SynClock } from "./syn-clock.ts";

function make(): { rtt: RttEstimator; clock: SynClock } {
  const rtt = new RttEstimator({ initialMs: 1_000, minMs: 200, maxMs: 60_000 });
  return { rtt, clock: new SynClock(rtt) };
}

test("SYN is sent again after the time-out, then after twice as long", () => {
  const { clock } = make();
  clock.sent(0, false);
  expect(clock.repeatAtMs).toBe(1_000);
  clock.sent(1_000, true);
  expect(clock.repeatAtMs).toBe(3_000);
  clock.acknowledged(1_500, undefined);
  expect(clock.repeatAtMs).toBe(Infinity);
});

test("one SYN gives a sample; of several only a timestamp does (RFC 6298 §3 and §5.7)", () => {
  const one = make();
  one.clock.sent(100, false);
  one.clock.acknowledged(150, undefined);
  expect(one.rtt.smoothedMs).toBe(50);
  const several = make();
  several.clock.sent(0, false);
  several.clock.sent(1_000, true);
  several.clock.acknowledged(1_040, 40);
  expect(several.rtt.smoothedMs).toBe(40);
  const unknown = make();
  unknown.clock.sent(0, false);
  unknown.clock.sent(1_000, true);
  unknown.clock.acknowledged(1_040, undefined);
  expect([unknown.rtt.smoothedMs, unknown.rtt.rtoMs]).toEqual([0, 3_000]);
});
