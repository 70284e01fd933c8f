import { expect, it } from "vitest";
import { ReadSize } from "./read-size.ts";

const KiB = 1024;

it("asks a quiet stream for little, and one that fills its reads for more", () => {
  const size = new ReadSize();
  const sizes = [size.bytes];
  for (let read = 0; read < 4; read += 1) {
    size.learn(size.bytes, size.bytes);
    sizes.push(size.bytes);
  }
  expect(sizes.map((bytes) => bytes / KiB)).toEqual([4, 16, 64, 128, 128]);
  size.learn(128 * KiB, 20 * KiB);
  expect(size.bytes).toBe(128 * KiB);
  for (let read = 0; read < 4; read += 1) size.learn(size.bytes, 10);
  expect(size.bytes).toBe(4 * KiB);
});

it("is not led down by what the lookout brings", () => {
  const size = new ReadSize();
  for (let read = 0; read < 4; read += 1) size.learn(size.bytes, size.bytes);
  size.learn(4 * KiB, 4 * KiB);
  expect(size.bytes).toBe(128 * KiB);
});
