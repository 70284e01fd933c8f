import { expect, test } from "vitest";
import { systemRandom } from "./random.ts";

test("bytes of any length are fresh, owned by the caller, and never given twice", () => {
  const seen = new Set<string>();
  for (let count = 0; count < 2_000; count += 1) {
    const bytes = systemRandom.bytes(16);
    expect(bytes).toHaveLength(16);
    expect(bytes.buffer.byteLength).toBe(16);
    seen.add(Buffer.from(bytes).toString("hex"));
  }
  expect(seen.size).toBe(2_000);
  expect(systemRandom.bytes(0)).toHaveLength(0);
  const long = systemRandom.bytes(5_000);
  expect(new Set(long).size).toBe(256);
});

test("fractions lie in [0, 1) and fill it", () => {
  const fractions = Array.from({ length: 1_000 }, () => systemRandom.fraction());
  expect(Math.min(...fractions)).toBeGreaterThanOrEqual(0);
  expect(Math.max(...fractions)).toBeLessThan(1);
  expect(new Set(fractions.map((each) => Math.floor(each * 10))).size).toBe(10);
});
