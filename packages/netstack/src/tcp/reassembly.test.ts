import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Reassembly } from "./reassembly.ts";

describe("reassembly", () => {
  test("puts pieces in order, however they come, overlap and repeat", () => {
    const piece = fc.tuple(fc.nat(300), fc.integer({ min: 1, max: 50 }));
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 60 }), fc.nat(350), (pieces, from) => {
        const reassembly = new Reassembly();
        const held = new Set<number>();
        for (const [start, length] of pieces) {
          expect(reassembly.insert(start, bytesAt(start, length))).toBe(true);
          for (let at = start; at < start + length; at += 1) held.add(at);
          expect(reassembly.bytes).toBe(held.size);
        }
        const taken = Buffer.concat(reassembly.take(from));
        let end = from;
        while (held.has(end)) end += 1;
        expect(taken.equals(bytesAt(from, end - from))).toBe(true);
        const later = [...held].filter((at) => at >= end);
        expect(reassembly.bytes).toBe(later.length);
        expect(reassembly.isEmpty).toBe(later.length === 0);
      }),
    );
  });

  test("tells the run of the latest segment first (RFC 2018 §4)", () => {
    const reassembly = new Reassembly();
    for (const start of [100, 200, 300, 400]) reassembly.insert(start, bytesAt(start, 10));
    reassembly.insert(210, bytesAt(210, 5));
    expect(reassembly.blocks(0, 3)).toEqual([
      { start: 200, end: 215 },
      { start: 400, end: 410 },
      { start: 300, end: 310 },
    ]);
  });

  test("tells wrapped sequence numbers", () => {
    const reassembly = new Reassembly();
    reassembly.insert(100, bytesAt(100, 10));
    expect(reassembly.blocks(0xffff_ffff, 3)).toEqual([{ start: 99, end: 109 }]);
  });

  test("refuses more runs, and more pieces, than it has bounds for", () => {
    const runs = new Reassembly({ runs: 2, pieces: 100 });
    expect([10, 20, 30].map((at) => runs.insert(at, bytesAt(at, 2)))).toEqual([true, true, false]);
    expect(runs.insert(12, bytesAt(12, 8))).toBe(true);
    const pieces = new Reassembly({ runs: 100, pieces: 2 });
    expect([10, 11, 12].map((at) => pieces.insert(at, bytesAt(at, 1)))).toEqual([
      true,
      true,
      false,
    ]);
    expect(pieces.bytes).toBe(2);
    expect(pieces.take(10)).toHaveLength(2);
    expect(pieces.insert(20, bytesAt(20, 1))).toBe(true);
  });

  test("keeps no large packet for a small piece of it", () => {
    const reassembly = new Reassembly();
    reassembly.insert(10, new Uint8Array(65_536).subarray(0, 100));
    expect(reassembly.take(10)[0]?.buffer.byteLength).toBe(100);
  });
});

function bytesAt(position: number, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => (position + index) % 251);
}
