import { millis } from "@culvert/runtime";
import { expect, test } from "vitest";
import { FaultStream } from "./fault-stream.ts";
import { seededRandom } from "./seeded-random.ts";
import { VirtualClock } from "./virtual-clock.ts";

function collect(stream: FaultStream): Buffer[] {
  const chunks: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  return chunks;
}

test("cuts at the exact byte", async () => {
  const stream = new FaultStream({ dropAfterBytes: 5 });
  const chunks = collect(stream);
  const failed = new Promise((resolve) => stream.once("error", resolve));
  stream.write("abc");
  stream.write("defg");
  expect(await failed).toMatchObject({ code: "stream_reset", data: { dropAfterBytes: 5 } });
  expect(Buffer.concat(chunks).toString()).toBe("abcde");
  expect(stream.passedBytes).toBe(5);
});

test("splits chunks, evenly or by chance, and loses nothing", async () => {
  const random = seededRandom(1);
  for (const split of [3, { maxBytes: 3, random }]) {
    const stream = new FaultStream({ split });
    const chunks = collect(stream);
    stream.end("abcdefghij");
    await new Promise((resolve) => stream.once("end", resolve));
    expect(Buffer.concat(chunks).toString()).toBe("abcdefghij");
    expect(chunks.every(({ length }) => length <= 3)).toBe(true);
  }
});

test("delays each chunk by the clock", async () => {
  const clock = new VirtualClock();
  const stream = new FaultStream({ delay: { each: millis(10), clock } });
  const chunks = collect(stream);
  stream.write("a");
  stream.write("b");
  await clock.advance(9);
  expect(chunks).toHaveLength(0);
  await clock.advance(1);
  expect(chunks).toHaveLength(1);
  await clock.advance(10);
  expect(chunks).toHaveLength(2);
  stream.write("c");
  stream.destroy();
  await clock.advance(1);
  expect(clock.pendingTimers).toBe(0);
});
