import fc from "fast-check";
import { expect, test } from "vitest";
import { formatMillis, millis, parseMillis } from "./duration.ts";
import { ConfigError } from "./errors.ts";

test.each([
  ["0ms", 0],
  ["250ms", 250],
  ["30s", 30_000],
  ["1.5m", 90_000],
  ["2h", 7_200_000],
  [" 5 s ", 5_000],
])("%s is %d ms", (text, expected) => {
  expect(parseMillis(text)).toBe(expected);
});

test.each(["", "30", "s", "-1s", "1,5s", "1e3ms", "30 sec", "30S", "1s 2ms", "Infinitys", ".5s"])(
  "%j is refused by name",
  (text) => {
    expect(() => parseMillis(text)).toThrow(ConfigError);
    expect(() => parseMillis(text)).toThrow(`"${text}"`);
  },
);

test("a number beyond all numbers is refused by name", () => {
  const text = `${"9".repeat(400)}h`;
  expect(() => parseMillis(text)).toThrow(`"${text}"`);
});

test.each([-1, NaN, Infinity])("%s is no number of milliseconds", (value) => {
  expect(() => millis(value)).toThrow(ConfigError);
});

test.each([
  [0, "0ms"],
  [250, "250ms"],
  [1_500, "1.5s"],
  [60_000, "1m"],
  [5_400_000, "1.5h"],
  [0.123_456, "0.12ms"],
])("%d prints as %s", (value, expected) => {
  expect(formatMillis(value)).toBe(expected);
});

test("what is printed can be parsed, and is the same to within 1 %", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 1_000_000_000 }), (value) => {
      const again = parseMillis(formatMillis(value));
      expect(Math.abs(again - value)).toBeLessThanOrEqual(value / 100);
    }),
  );
});

test("no text throws anything but a ConfigError", () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      try {
        expect(parseMillis(text)).toBeGreaterThanOrEqual(0);
      } catch (error) {
        expect(error).toBeInstanceOf(ConfigError);
      }
    }),
  );
});
