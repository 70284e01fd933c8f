import { expect, test } from "vitest";
import { seededRandom } from "./seeded-random.ts";

test("the same seed gives the same numbers, another one others", () => {
  const take = (seed: number): string => {
    const random = seededRandom(seed);
    return `${random.fraction()} ${Buffer.from(random.bytes(7)).toString("hex")}`;
  };
  expect(take(1)).toBe(take(1));
  expect(take(1)).not.toBe(take(2));
});

test("fractions fill [0, 1) evenly", () => {
  const random = seededRandom(3);
  const tenths = new Array<number>(10).fill(0);
  for (let count = 0; count < 10_000; count += 1) {
    const tenth = Math.floor(random.fraction() * 10);
    tenths[tenth]! += 1;
  }
  expect(tenths).toHaveLength(10);
  for (const count of tenths) expect(Math.abs(count - 1_000)).toBeLessThan(150);
});
