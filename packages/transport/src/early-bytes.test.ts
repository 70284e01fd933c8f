import { PassThrough, type Duplex } from "node:stream";
import { duplexPair, readBytes, waitUntil, within } from "@culvert/testkit";
import { describe, expect, it } from "vitest";
import { firstBytesOrTurn, maxEarlyBytes, passEarlyBytes } from "./early-bytes.ts";

function pairs(): { far: Duplex; from: Duplex; to: Duplex; end: Duplex } {
  const [far, from] = duplexPair();
  const [to, end] = duplexPair();
  return { far, from, to, end };
}

describe("bytes ahead of an answer", () => {
  it("pass whether they are there already or come later, and leave no listener behind", async () => {
    const { far, from, to, end } = pairs();
    far.write("one ");
    await within(firstBytesOrTurn(from), { what: "a turn" });
    await waitUntil(() => from.readableLength === 4, { what: "the first bytes" });
    const listenersBefore = from.listenerCount("readable");
    const stop = passEarlyBytes(from, to);
    expect(String(await readBytes(end, 4))).toBe("one ");
    far.write("two");
    expect(String(await readBytes(end, 3))).toBe("two");
    expect(stop()).toBe(7);
    expect(from.listenerCount("readable")).toBe(listenersBefore);
  });

  it("are bounded, and the rest with its end is left to who reads next", async () => {
    const { far, from, to, end } = pairs();
    const sent = Buffer.alloc(maxEarlyBytes + 1_000, "x");
    sent.fill("y", maxEarlyBytes);
    far.end(sent);
    const stop = passEarlyBytes(from, to);
    expect(await readBytes(end, maxEarlyBytes)).toEqual(sent.subarray(0, maxEarlyBytes));
    expect(stop()).toBe(maxEarlyBytes);
    const rest = new PassThrough();
    from.pipe(rest);
    expect(await readBytes(rest, 1_000)).toEqual(sent.subarray(maxEarlyBytes));
    rest.resume();
    await waitUntil(() => from.readableEnded, { what: "the end" });
    expect(end.readableLength).toBe(0);
  });

  it("are not read any more once that was stopped, and not written to a stream that is gone", async () => {
    const { far, from, to } = pairs();
    const stop = passEarlyBytes(from, to);
    to.on("error", () => undefined).destroy();
    far.write("x");
    await waitUntil(() => from.readableLength === 1, { what: "the byte" });
    expect(stop()).toBe(0);
    expect(String(await readBytes(from, 1))).toBe("x");
  });
});

describe("waiting for first bytes", () => {
  it("ends when they are there", async () => {
    const { far, from } = pairs();
    far.write("x");
    await waitUntil(() => from.readableLength > 0 || (from.read(0), false), { what: "a byte" });
    await within(firstBytesOrTurn(from), { what: "the wait" });
    expect(from.readableLength).toBe(1);
  });

  it("ends after a turn where nothing comes, and where the stream is gone", async () => {
    const { from, to } = pairs();
    await within(firstBytesOrTurn(from), { what: "the wait" });
    expect(from.listenerCount("readable")).toBe(0);
    to.on("error", () => undefined).destroy();
    await within(firstBytesOrTurn(to), { what: "the wait" });
  });
});
