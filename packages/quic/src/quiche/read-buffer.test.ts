import { expect, test } from "vitest";
import { ReadBuffer } from "./read-buffer.ts";

test("what was taken is not overwritten by the next read, be it a part or all", () => {
  const buffer = new ReadBuffer();
  const taken: Buffer[] = [];
  for (const [index, length] of [1, 100, buffer.space.length, 7, buffer.space.length].entries()) {
    buffer.space.fill(index, 0, length);
    taken.push(buffer.take(length));
  }
  expect(taken.map((chunk) => chunk.length)).toEqual([1, 100, 65_536, 7, 65_536]);
  for (const [index, chunk] of taken.entries()) {
    expect(chunk.equals(Buffer.alloc(chunk.length, index))).toBe(true);
  }
});
