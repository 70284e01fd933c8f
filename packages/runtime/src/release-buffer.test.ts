import { Duplex } from "node:stream";
import { describe, expect, test } from "vitest";
import { sharesNoMemory } from "./byte-stream.ts";
import { releaseBuffer } from "./release-buffer.ts";
import { splice } from "./splice.ts";

test("a chunk that has its memory to itself is empty afterwards", () => {
  const chunk = Buffer.from(new ArrayBuffer(64));
  releaseBuffer(chunk);
  expect(chunk).toHaveLength(0);
  expect(() => releaseBuffer(chunk)).not.toThrow();
});

test("a chunk that shares its memory stays as it is", () => {
  const whole = Buffer.alloc(64, 7);
  const memory = Buffer.from(new ArrayBuffer(64));
  releaseBuffer(memory.subarray(0, 63));
  expect(memory).toHaveLength(64);
  releaseBuffer(Buffer.from("pooled"));
  expect(whole.every((byte) => byte === 7)).toBe(true);
});

describe("a splice", () => {
  const large = (): Buffer => Buffer.from(new ArrayBuffer(64 * 1024));

  function end(marked: boolean, write: (done: (error?: Error) => void) => void): Duplex {
    const stream = new Duplex({
      allowHalfOpen: true,
      read: () => undefined,
      write: (_chunk, _encoding, done) => write(done),
    });
    stream.on("error", () => undefined);
    return marked ? Object.assign(stream, { [sharesNoMemory]: true }) : stream;
  }

  async function carry(marked: readonly [boolean, boolean], chunk: Buffer, error?: Error) {
    let written: ((error?: Error) => void) | undefined;
    const left = end(marked[0], () => undefined);
    const right = end(marked[1], (done) => (written = done));
    const over = splice(left, right);
    left.push(chunk);
    await new Promise((resolve) => setImmediate(resolve));
    expect(written).toBeDefined();
    const during = chunk.length;
    written?.(error);
    await new Promise((resolve) => setImmediate(resolve));
    const after = chunk.length;
    left.destroy();
    right.destroy();
    await over;
    return [during, after];
  }

  test("releases a large chunk once it is written, where neither side shares memory", async () => {
    expect(await carry([true, true], large())).toEqual([64 * 1024, 0]);
  });

  test("releases nothing where one side shares memory, nor small chunks, nor what failed", async () => {
    expect(await carry([true, false], large())).toEqual([64 * 1024, 64 * 1024]);
    expect(await carry([false, true], large())).toEqual([64 * 1024, 64 * 1024]);
    expect(await carry([true, true], Buffer.from(new ArrayBuffer(100)))).toEqual([100, 100]);
    expect(await carry([true, true], large(), new Error("gone"))).toEqual([64 * 1024, 64 * 1024]);
  });
});
