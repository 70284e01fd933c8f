import { describe, expect, test } from "vitest";
import { UnreadBytes } from "./unread-bytes.ts";

function drain(unread: UnreadBytes): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let next = unread.shift(); next !== undefined; next = unread.shift()) pieces.push(next);
  return pieces;
}

describe("bytes that nobody has read", () => {
  test("come out as they went in, whatever the sizes", () => {
    const unread = new UnreadBytes();
    const sizes = [1, 3_000, 70_000, 2, 0, 40_000, 5, 1_460, 1_460, 65_536];
    const whole = sizes.map((size, index) => new Uint8Array(size).fill(index + 1));
    for (const [index, bytes] of whole.entries()) {
      const chunk = new Uint8Array(65_536 * 2);
      chunk.set(bytes, index);
      unread.append(chunk.subarray(index, index + bytes.length));
    }
    expect(unread.length).toBe(Buffer.concat(whole).length);
    expect(Buffer.concat(drain(unread)).equals(Buffer.concat(whole))).toBe(true);
    expect(unread.length).toBe(0);
  });

  test("what is taken out is not written to by what comes later", () => {
    const unread = new UnreadBytes();
    unread.append(Uint8Array.of(1, 2));
    const first = unread.shift();
    unread.append(Uint8Array.of(3, 4));
    expect([first, unread.shift()]).toEqual([Uint8Array.of(1, 2), Uint8Array.of(3, 4)]);
  });

  test("of two hundred thousand segments of one byte each no more than sixteen blocks are kept", () => {
    const unread = new UnreadBytes();
    for (let count = 0; count < 200_000; count += 1) {
      unread.append(new Uint8Array(64 * 1_024).subarray(0, 1));
    }
    const pieces = drain(unread);
    const keptBytes = pieces.reduce((sum, { buffer }) => sum + buffer.byteLength, 0);
    expect(pieces.length).toBeLessThanOrEqual(16);
    expect(keptBytes).toBeLessThanOrEqual(2 * 200_000);
  });

  test("small and large segments by turns keep no more than three times their bytes", () => {
    const unread = new UnreadBytes();
    let bytes = 0;
    for (let count = 0; count < 200; count += 1) {
      const chunk = new Uint8Array(64 * 1_024);
      unread.append(chunk.subarray(0, 1));
      unread.append(chunk.subarray(1, 8_193));
      unread.append(new Uint8Array(8_192));
      bytes += 16_385;
    }
    const buffers = new Set(drain(unread).map(({ buffer }) => buffer));
    const keptBytes = [...buffers].reduce((sum, { byteLength }) => sum + byteLength, 0);
    expect(keptBytes).toBeLessThanOrEqual(3 * bytes);
  });

  test("a segment that fills its memory is not copied", () => {
    const unread = new UnreadBytes();
    const bytes = new Uint8Array(32 * 1_024);
    unread.append(bytes);
    expect(unread.shift()?.buffer).toBe(bytes.buffer);
  });
});
