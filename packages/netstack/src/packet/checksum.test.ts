import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checksumOf, foldSum, pseudoHeaderSum, sumBytes, verifiedSum } from "./checksum.ts";

/** The definition, word by word, with every carry added in at once. */
function plainSum(bytes: Uint8Array): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) {
    sum += (bytes[at] ?? 0) * 256 + (bytes[at + 1] ?? 0);
    if (sum > 0xffff) sum -= 0xffff;
  }
  return sum;
}

describe("the sum of bytes", () => {
  test("is that of the example of RFC 1071 §3", () => {
    const bytes = Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7);
    expect(sumBytes(bytes)).toBe(0xddf2);
  });

  test("agrees with the definition for any length at any address", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 400 }),
        fc.nat(7),
        fc.nat(64),
        fc.nat(64),
        (bytes, misalignment, skipAtStart, skipAtEnd) => {
          const memory = new Uint8Array(bytes.length + misalignment);
          const view = memory.subarray(misalignment);
          view.set(bytes);
          const start = Math.min(skipAtStart, bytes.length);
          const end = Math.max(start, bytes.length - skipAtEnd);
          expect(sumBytes(view, start, end)).toBe(plainSum(bytes.subarray(start, end)));
        },
      ),
      { numRuns: 500 },
    );
  });

  test("has room for the largest packet of the largest words", () => {
    for (const length of [65_535, 65_534, 65_533]) {
      const bytes = new Uint8Array(length).fill(0xff);
      expect(sumBytes(bytes)).toBe(plainSum(bytes));
    }
  });

  test("may be taken in parts of even length", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(150), (bytes, half) => {
        const cut = Math.min(half * 2, bytes.length);
        expect(foldSum(sumBytes(bytes, 0, cut) + sumBytes(bytes, cut))).toBe(plainSum(bytes));
      }),
    );
  });

  test("of data with its checksum is all ones, and one flipped bit is seen", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 4, maxLength: 200 }), fc.nat(), (bytes, bit) => {
        bytes[0] = 0;
        bytes[1] = 0;
        const checksum = checksumOf(sumBytes(bytes));
        bytes[0] = checksum >>> 8;
        bytes[1] = checksum;
        expect(sumBytes(bytes)).toBe(verifiedSum);
        const at = (bit >>> 3) % bytes.length;
        bytes[at] = (bytes[at] ?? 0) ^ (1 << (bit & 7));
        expect(sumBytes(bytes)).not.toBe(verifiedSum);
      }),
    );
  });

  test("of a pseudo-header is that of its bytes", () => {
    const bytes = Uint8Array.of(127, 0, 42, 100, 255, 255, 255, 255, 0, 17, 0x12, 0x34);
    expect(pseudoHeaderSum(0x7f002a64, 0xffffffff, 17, 0x1234)).toBe(plainSum(bytes));
  });
});
