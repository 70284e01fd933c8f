import { Writable } from "node:stream";
import { describe, expect, it } from "vitest";
import { FrameDecoder, frameType } from "@culvert/wire";
import { FrameWriter } from "./frame-writer.ts";

/** A stream whose writes stay open until they are let go. */
class HeldStream extends Writable {
  readonly writes: Buffer[] = [];
  #release: (() => void) | undefined;

  override _writev(
    chunks: { chunk: Buffer; encoding: BufferEncoding }[],
    callback: (error?: Error | null) => void,
  ): void {
    this.writes.push(Buffer.concat(chunks.map(({ chunk }) => chunk)));
    this.#release = callback;
  }

  release(): void {
    this.#release?.();
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

describe("FrameWriter", () => {
  it("writes the frames of one turn at once", async () => {
    const stream = new HeldStream();
    const writer = new FrameWriter(stream);
    expect(writer.sendMessage(Buffer.from("{}"))).toBe(true);
    expect(writer.sendPacket(Buffer.alloc(20), 7)).toBe(true);
    await turn();
    expect(stream.writes).toHaveLength(1);
    const frames = new FrameDecoder().push(stream.writes[0]!);
    expect(frames.map(({ type, reserved }) => [type, reserved])).toEqual([
      [frameType.json, 0],
      [frameType.l3, 7],
    ]);
  });

  it("drops and counts what a stuck reader has no room for, and goes on when it has", async () => {
    const stream = new HeldStream();
    const writer = new FrameWriter(stream, { maxFrames: 3, maxBytes: 1_000 });
    const packet = Buffer.alloc(100);
    expect([1, 2, 3, 4].map(() => writer.sendPacket(packet))).toEqual([true, true, true, false]);
    expect(writer.stats()).toEqual({
      frames: 3,
      bytes: 300,
      droppedFrames: 1,
      droppedBytes: 100,
      queuedBytes: 324,
    });
    await turn();
    stream.release();
    await turn();
    expect(writer.sendPacket(packet)).toBe(true);
  });

  it("bounds bytes, but lets one long frame through", () => {
    const writer = new FrameWriter(new HeldStream(), { maxBytes: 1_000 });
    expect(writer.sendPacket(Buffer.alloc(5_000))).toBe(true);
    expect(writer.sendPacket(Buffer.alloc(20))).toBe(false);
  });

  it("has room for messages where packets have none, up to a bound of their own", async () => {
    const stream = new HeldStream();
    const writer = new FrameWriter(stream, { maxFrames: 2, maxMessages: 3, maxMessageBytes: 110 });
    const [packet, message] = [Buffer.alloc(100), Buffer.alloc(40)];
    expect([1, 2, 3].map(() => writer.sendPacket(packet))).toEqual([true, true, false]);
    expect([1, 2, 3].map(() => writer.sendMessage(message))).toEqual([true, true, false]);
    expect([1, 2].map(() => writer.sendMessage(Buffer.alloc(2)))).toEqual([true, false]);
    expect(writer.sendPacket(packet)).toBe(false);
    // The first write is the frames of this turn; what is written meanwhile leaves with the second.
    await turn();
    stream.release();
    await turn();
    expect(writer.sendMessage(message)).toBe(true);
    const frames = new FrameDecoder().push(stream.writes[0]!);
    const { l3, json } = frameType;
    expect(frames.map(({ type }) => type)).toEqual([l3, l3, json, json, json]);
  });

  it("takes no room from packets for the messages that wait", () => {
    const writer = new FrameWriter(new HeldStream(), { maxFrames: 2, maxBytes: 1_000 });
    for (let count = 0; count < 10; count += 1) {
      expect(writer.sendMessage(Buffer.alloc(400))).toBe(true);
    }
    const packet = Buffer.alloc(400);
    expect([1, 2, 3].map(() => writer.sendPacket(packet))).toEqual([true, true, false]);
  });

  it("lets one message through that is longer than the bound, as a configuration of many hosts is", () => {
    const writer = new FrameWriter(new HeldStream(), { maxMessageBytes: 110 });
    expect(writer.sendPacket(Buffer.alloc(20))).toBe(true);
    expect(writer.sendMessage(Buffer.alloc(5_000))).toBe(true);
    expect(writer.sendMessage(Buffer.alloc(20))).toBe(false);
  });

  it("gives the stream no more at once than a batch, and the rest in its order", async () => {
    const stream = new HeldStream();
    const writer = new FrameWriter(stream);
    for (let count = 1; count <= 5; count += 1) writer.sendPacket(Buffer.alloc(60_000), count);
    await turn();
    expect(stream.writes.map(({ length }) => length)).toEqual([3 * 60_008]);
    expect(writer.stats().queuedBytes).toBe(5 * 60_008);
    expect(writer.takenFrames).toBe(0);
    stream.release();
    await turn();
    expect(writer.takenFrames).toBe(3);
    expect(writer.stats().queuedBytes).toBe(2 * 60_008);
    stream.release();
    await turn();
    expect(writer.takenFrames).toBe(5);
    const frames = new FrameDecoder().push(Buffer.concat(stream.writes));
    expect(frames.map(({ reserved }) => reserved)).toEqual([1, 2, 3, 4, 5]);
  });

  it("gives the stream all that waits before its end, where it is flushed", async () => {
    const stream = new HeldStream();
    const writer = new FrameWriter(stream);
    for (let count = 0; count < 5; count += 1) writer.sendPacket(Buffer.alloc(60_000));
    await turn();
    writer.sendMessage(Buffer.from("{}"));
    writer.flush();
    stream.end();
    stream.release();
    await turn();
    stream.release();
    await turn();
    expect(new FrameDecoder().push(Buffer.concat(stream.writes))).toHaveLength(6);
    expect(writer.stats().queuedBytes).toBe(0);
  });

  it("copies what it is given", async () => {
    const stream = new HeldStream();
    const packet = Buffer.alloc(20, 1);
    new FrameWriter(stream).sendPacket(packet);
    packet.fill(2);
    await turn();
    expect(stream.writes[0]!.subarray(8)).toEqual(Buffer.alloc(20, 1));
  });

  it("drops everything once the stream has ended", () => {
    const stream = new HeldStream();
    stream.end();
    expect(new FrameWriter(stream).sendPacket(Buffer.alloc(20))).toBe(false);
    const broken = new HeldStream();
    broken.destroy();
    expect(new FrameWriter(broken).sendPacket(Buffer.alloc(20))).toBe(false);
  });
});
