import { expect, test } from "vitest";
import { AckLimit } from "./ack-limit.ts";

test("ten at once, and ten a second after that", () => {
  const limit = new AckLimit();
  const granted = (nowMs: number): number =>
    Array.from({ length: 50 }, () => limit.take(nowMs)).filter(Boolean).length;
  expect([granted(5_000), granted(5_050), granted(5_100), granted(5_600)]).toEqual([10, 0, 1, 5]);
  expect(granted(1_000_000)).toBe(10);
});
