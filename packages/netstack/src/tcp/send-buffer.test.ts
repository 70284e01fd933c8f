import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SendBuffer } from "./send-buffer.ts";

describe("a send buffer", () => {
  test("gives back what was written, by position, until it is released", () => {
    const step = fc.record({
      appended: fc.integer({ min: 0, max: 90_000 }),
      released: fc.double({ min: 0, max: 1, noNaN: true }),
      from: fc.double({ min: 0, max: 1, noNaN: true }),
      length: fc.double({ min: 0, max: 1, noNaN: true }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
        const buffer = new SendBuffer(1);
        let released = 1;
        for (const { appended, ...shares } of steps) {
          const from = buffer.end;
          buffer.append(bytesAt(from, appended));
          expect(buffer.end).toBe(from + appended);
          released += Math.floor(shares.released * (buffer.end - released));
          buffer.releaseTo(released);
          expect(buffer.length).toBe(buffer.end - released);
          const start = released + Math.floor(shares.from * (buffer.end - released));
          const length = Math.floor(shares.length * (buffer.end - start));
          const read = Buffer.concat(buffer.parts(start, length));
          expect(read.equals(bytesAt(start, length))).toBe(true);
        }
      }),
    );
  });

  test("keeps its own copy", () => {
    const buffer = new SendBuffer(1);
    const chunk = new Uint8Array(100_000).fill(1);
    buffer.append(chunk);
    chunk.fill(2);
    expect(Buffer.concat(buffer.parts(1, 100_000)).every((byte) => byte === 1)).toBe(true);
  });

  test("refuses what it does not hold", () => {
    const buffer = new SendBuffer(1);
    buffer.append(new Uint8Array(10));
    buffer.releaseTo(5);
    expect(() => buffer.parts(4, 1)).toThrow(RangeError);
    expect(() => buffer.parts(5, 7)).toThrow(RangeError);
  });
});

function bytesAt(position: number, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => (position + index) % 251);
}
