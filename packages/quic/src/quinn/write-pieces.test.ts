import fc from "fast-check";
import { expect, it } from "vitest";
import { WritePieces } from "./write-pieces.ts";

function piecesOf(chunks: readonly Uint8Array[]): Uint8Array[] {
  const pieces = new WritePieces(chunks);
  const all = [];
  for (let piece = pieces.next(); piece !== undefined; piece = pieces.next()) all.push(piece);
  return all;
}

const KiB = 1024;

it("gives every byte once, in order, in pieces that are neither empty nor too large", () => {
  const chunk = fc
    .tuple(fc.constantFrom(0, 1, 100, 64 * KiB - 1, 64 * KiB, 200 * KiB), fc.nat(255))
    .map(([length, fill]) => Buffer.alloc(length, fill));
  fc.assert(
    fc.property(fc.array(chunk, { maxLength: 8 }), (chunks) => {
      const pieces = piecesOf(chunks);
      expect(Buffer.concat(pieces).equals(Buffer.concat(chunks))).toBe(true);
      for (const piece of pieces) {
        expect(piece.length).toBeGreaterThan(0);
        expect(piece.length).toBeLessThanOrEqual(128 * KiB);
      }
    }),
  );
});

it("joins small chunks and copies no large one", () => {
  const small = Array.from({ length: 1000 }, () => Buffer.alloc(100));
  expect(piecesOf(small).map(({ length }) => length)).toEqual([65_600, 34_400]);
  const large = Buffer.alloc(300 * KiB);
  const pieces = piecesOf([large]);
  expect(pieces.map(({ length }) => length / KiB)).toEqual([128, 128, 44]);
  expect(pieces.every(({ buffer }) => buffer === large.buffer)).toBe(true);
});
