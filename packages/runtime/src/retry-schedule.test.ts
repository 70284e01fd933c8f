import fc from "fast-check";
import { expect, test } from "vitest";
import { millis } from "./duration.ts";
import type { Random } from "./random.ts";
import { RetrySchedule } from "./retry-schedule.ts";

const always = (fraction: number): Random => ({
  fraction: () => fraction,
  bytes: (length) => new Uint8Array(length),
});

test("doubles up to its cap, and starts over after a success", () => {
  const options = { first: millis(100), cap: millis(1_000), factor: 2 };
  const schedule = new RetrySchedule(always(1), options);
  const take = (count: number): number[] => Array.from({ length: count }, () => schedule.next());
  expect(take(6)).toEqual([100, 200, 400, 800, 1_000, 1_000]);
  expect(schedule.attempt).toBe(6);
  schedule.reset();
  expect(schedule.attempt).toBe(0);
  expect(take(2)).toEqual([100, 200]);
});

test("a first delay above the cap is the cap", () => {
  const options = { first: millis(500), cap: millis(100), factor: 2 };
  expect(new RetrySchedule(always(1), options).next()).toBe(100);
});

test("every delay lies between half and the whole of its step, however many there are", () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0, max: 0.999_999, noNaN: true }),
      fc.integer({ min: 0, max: 10_000 }),
      fc.integer({ min: 1, max: 60_000 }),
      fc.double({ min: 1, max: 10, noNaN: true }),
      (fraction, firstMs, capMs, factor) => {
        const options = { first: millis(firstMs), cap: millis(capMs), factor };
        const schedule = new RetrySchedule(always(fraction), options);
        let step = Math.min(firstMs, capMs);
        for (let attempt = 0; attempt < 2_000; attempt += 1) {
          const delay = schedule.next();
          expect(delay).toBeGreaterThanOrEqual(step / 2);
          expect(delay).toBeLessThanOrEqual(step);
          step = Math.min(capMs, step * factor);
        }
      },
    ),
    { numRuns: 30 },
  );
});
