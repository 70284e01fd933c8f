import type { CloseReason } from "@culvert/runtime";
import { describe, expect, test } from "vitest";
import { waitUntil } from "../wait-until.ts";
import { memoryCarrierPair, type MemoryCarrier } from "./memory-carrier.ts";

/** What one end was told. */
interface Heard {
  readonly pieces: Uint8Array[];
  drains: number;
  closed: CloseReason | undefined;
}

function listen(carrier: MemoryCarrier): Heard {
  const heard: Heard = { pieces: [], drains: 0, closed: undefined };
  carrier.start({
    data: (bytes) => heard.pieces.push(bytes),
    drain: () => (heard.drains += 1),
    alive: () => undefined,
    closed: (reason) => (heard.closed = reason),
  });
  return heard;
}

const bytesOf = ({ pieces }: Heard): string => Buffer.concat(pieces).toString();

describe("memory carriers", () => {
  test("bytes arrive later, in order, in pieces, as copies; then the memory is free", async () => {
    const [left, right] = memoryCarrierPair({ pieceBytes: 4 });
    listen(left);
    const heard = listen(right);
    const mine = Buffer.from("hello, ");
    let sent = false;
    left.write([mine, Buffer.from("world")], () => {
      sent = true;
      mine.fill(0);
    });
    expect(heard.pieces).toEqual([]);
    await waitUntil(() => sent, { what: "sent" });
    expect(bytesOf(heard)).toBe("hello, world");
    expect(Math.max(...heard.pieces.map(({ length }) => length))).toBe(4);
  });

  test("a paused end holds the writer, which hears when it may go on", async () => {
    const [left, right] = memoryCarrierPair({ highWaterBytes: 10 });
    const writer = listen(left);
    const heard = listen(right);
    right.pause();
    expect(left.write([Buffer.alloc(10)])).toBe(true);
    expect(left.write([Buffer.alloc(1)])).toBe(false);
    expect(left.bufferedBytes).toBe(11);
    right.resume();
    await waitUntil(() => writer.drains === 1, { what: "drain" });
    expect(bytesOf(heard).length).toBe(11);
    expect(left.bufferedBytes).toBe(0);
  });

  test("close comes after what was written, and each end hears whose it was", async () => {
    const [left, right] = memoryCarrierPair();
    const near = listen(left);
    const far = listen(right);
    const reason = { by: "us", code: "done", text: "enough" } as const;
    left.write([Buffer.from("last")]);
    left.close(reason);
    left.close({ by: "us", code: "later", text: "" });
    left.write([Buffer.from("too late")]);
    await waitUntil(() => far.closed, { what: "the end" });
    expect(bytesOf(far)).toBe("last");
    expect(near.closed).toEqual(reason);
    expect(far.closed).toMatchObject({ by: "peer-app", code: "closed" });
  });

  test("cut loses what was under way and tells both", () => {
    const [left, right] = memoryCarrierPair();
    const near = listen(left);
    const far = listen(right);
    left.write([Buffer.from("lost")]);
    right.cut();
    expect(near.closed).toMatchObject({ by: "network" });
    expect(far.closed).toMatchObject({ by: "network" });
    expect(far.pieces).toEqual([]);
  });
});
