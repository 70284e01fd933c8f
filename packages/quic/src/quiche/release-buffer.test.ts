import { expect, test } from "vitest";
import { releaseBuffer } from "./release-buffer.ts";

test("a buffer with memory of its own gives it back, and every view on it is empty", () => {
  const buffer = Buffer.allocUnsafeSlow(64 * 1024).fill(7);
  const view = buffer.subarray(10, 20);
  releaseBuffer(buffer);
  expect([buffer.length, view.length, buffer.buffer.byteLength]).toEqual([0, 0, 0]);
  releaseBuffer(buffer);
});

test("a buffer that shares its memory keeps it", () => {
  const whole = Buffer.allocUnsafeSlow(100).fill(7);
  const part = whole.subarray(10, 20);
  releaseBuffer(part);
  expect(part).toEqual(Buffer.alloc(10, 7));
  const pooled = Buffer.from("pooled");
  releaseBuffer(pooled);
  expect(pooled.toString()).toBe("pooled");
});
