import { expect, test } from "vitest";
import { SourceBudget } from "./source-budget.ts";

const limits = { perSecond: 10, burst: 20 };

test("a source has its burst, then its rate, and takes nothing from others", () => {
  const budget = new SourceBudget(limits);
  const taken = (host: string, nowMs: number): number => {
    let count = 0;
    while (count < 1_000 && budget.take(host, nowMs)) count += 1;
    return count;
  };
  expect(taken("192.0.2.1", 0)).toBe(20);
  expect(taken("192.0.2.1", 100)).toBe(1);
  expect(taken("192.0.2.2", 100)).toBe(20);
  expect(taken("192.0.2.1", 1_100)).toBe(10);
  expect(taken("192.0.2.1", 60_000)).toBe(20);
  expect(taken("2001:db8::1", 0)).toBe(20);
  expect(taken("2001:db8::2", 0)).toBe(0);
});

test("forged sources push out the ones not seen for longest only", () => {
  const budget = new SourceBudget(limits);
  for (let count = 0; count < 20; count += 1) budget.take("192.0.2.1", 0);
  for (let index = 0; index < 20_000; index += 1) {
    budget.take(`10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`, 0);
    if (index % 1_000 === 0) expect(budget.take("192.0.2.1", 0)).toBe(false);
  }
});
