import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { median, pairedRatio, quantile, summarize } from "./statistics.ts";

/** Without -0, which `toBe` tells from 0 and no measure does. */
const number = fc.double({ min: -1e6, max: 1e6, noNaN: true }).map((value) => value + 0);
const numbers = fc.array(number, { minLength: 1 });

describe("quantile", () => {
  it("takes the middle, or the mean of the two middle values", () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 2, 3])).toBe(2.5);
    expect(median([])).toBeNaN();
  });

  it("runs from the least to the greatest value and never back", () => {
    fc.assert(
      fc.property(numbers, fc.double({ min: 0, max: 1, noNaN: true }), (values, q) => {
        expect(quantile(values, 0)).toBe(Math.min(...values));
        expect(quantile(values, 1)).toBe(Math.max(...values));
        expect(quantile(values, q)).toBeLessThanOrEqual(quantile(values, Math.min(1, q + 0.1)));
      }),
    );
  });

  it("does not care for the order of the values and leaves them alone", () => {
    const values = [5, 3, 9, 1];
    expect(quantile(values, 0.9)).toBe(quantile([1, 3, 5, 9], 0.9));
    expect(values).toEqual([5, 3, 9, 1]);
  });
});

describe("summarize", () => {
  it("gives median, extremes and half their distance as a share of the median", () => {
    expect(summarize([90, 100, 120])).toEqual({
      rounds: 3,
      median: 100,
      min: 90,
      max: 120,
      spread: 0.15,
    });
  });

  it("has nothing to say about no rounds", () => {
    expect(summarize([])).toBeUndefined();
  });

  it("has no spread around zero rather than an infinite one", () => {
    expect(summarize([0, 0])?.spread).toBe(0);
  });
});

describe("pairedRatio", () => {
  it("stays where it is while the machine grows slower for both", () => {
    expect(pairedRatio([200, 100, 50], [100, 50, 25])?.median).toBe(2);
    expect(pairedRatio([200, 100, 50], [100, 50, 25])?.spread).toBe(0);
  });

  it("leaves out rounds in which one side failed", () => {
    expect(pairedRatio([200, undefined, 90], [100, 50, undefined])).toMatchObject({
      rounds: 1,
      median: 2,
    });
    expect(pairedRatio([undefined], [1])).toBeUndefined();
  });
});
