import fc from "fast-check";
import { expect, test } from "vitest";
import { formatByteSize, parseByteSize } from "./byte-size.ts";
import { ConfigError } from "./errors.ts";

test.each([
  ["0", 0],
  ["65536", 65_536],
  ["512 B", 512],
  ["64KiB", 65_536],
  ["4 MiB", 4_194_304],
  ["1.5GiB", 1_610_612_736],
  [" 1KiB ", 1_024],
])("%s is %d bytes", (text, expected) => {
  expect(parseByteSize(text)).toBe(expected);
});

test.each(["", "KiB", "-1", "1KB", "1kib", "1.5", "0.5B", "1e3", "1,5KiB", "9999999GiB", "1 2"])(
  "%j is refused by name",
  (text) => {
    expect(() => parseByteSize(text)).toThrow(ConfigError);
    expect(() => parseByteSize(text)).toThrow(`"${text}"`);
  },
);

test.each([
  [0, "0 B"],
  [512, "512 B"],
  [1_536, "1.5 KiB"],
  [16_777_216, "16 MiB"],
  [5_000_000_000_000, "4656.6 GiB"],
])("%d prints as %s", (bytes, expected) => {
  expect(formatByteSize(bytes)).toBe(expected);
});

test("what is printed can be parsed, and is the same to within 5 %", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 50 }), (bytes) => {
      expect(Math.abs(parseByteSize(formatByteSize(bytes)) - bytes)).toBeLessThanOrEqual(
        bytes / 20,
      );
    }),
  );
});
