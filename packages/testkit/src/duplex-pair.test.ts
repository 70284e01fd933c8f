import { expect, test } from "vitest";
import { duplexPair } from "./duplex-pair.ts";
import { EagerWriter } from "./link/eager-writer.ts";
import { streamOutcome } from "./link/stream-outcome.ts";
import { readBytes, readPayload, writePayload } from "./payload.ts";

test("carries bytes both ways, with half-close", async () => {
  const [one, other] = duplexPair();
  const there = readPayload(other);
  expect(await writePayload(one, 1_000_000, 1)).toEqual(await there);
  const back = readPayload(one);
  expect(await writePayload(other, 500_000, 2)).toEqual(await back);
});

test("an abort of one end is an error at the other", async () => {
  const [one, other] = duplexPair();
  const outcome = streamOutcome(other);
  one.destroy(new Error("given up"));
  expect(await outcome).toMatchObject({ ended: false, error: { code: "stream_reset" } });
});

test("a reader that stops holds the writer", async () => {
  const [one, other] = duplexPair();
  const writer = new EagerWriter(one, 1024 * 1024);
  expect(await writer.untilHeld()).toBeLessThanOrEqual(128 * 1024);
  expect(await readPayload(other)).toEqual(await writer.finished);
});

test("an abort frees a writer that was held", async () => {
  const [one, other] = duplexPair();
  await new EagerWriter(one, 1024 * 1024).untilHeld();
  const outcome = streamOutcome(one);
  other.destroy();
  expect((await outcome).error).toMatchObject({ code: "stream_reset" });
});

test("what is read are copies", async () => {
  const [one, other] = duplexPair();
  const scratch = Buffer.from("abc");
  one.write(scratch, () => scratch.fill(0));
  expect(String(await readBytes(other, 3))).toBe("abc");
});
