import { memoryCarrierPair, waitUntil } from "@culvert/testkit";
import { encodeFrame, frameType } from "@culvert/wire";
import type { CloseReason } from "@culvert/runtime";
import { describe, expect, test } from "vitest";
import type { Carrier } from "../mproxy/carrier.ts";
import { PacketPipe } from "./packet-pipe.ts";

const limits = { maxBytes: 1024 * 1024, maxPackets: 100 };

function end(carrier: Carrier): { pipe: PacketPipe; packets: Uint8Array[]; closed: CloseReason[] } {
  const packets: Uint8Array[] = [];
  const closed: CloseReason[] = [];
  const pipe = new PacketPipe(carrier, limits, {
    packet: (packet) => void packets.push(packet),
    closed: (reason) => void closed.push(reason),
  });
  return { pipe, packets, closed };
}

function packet(bytes: number, fill: number): Uint8Array {
  const made = new Uint8Array(bytes).fill(fill);
  made[0] = 0x45;
  return made;
}

describe("PacketPipe", () => {
  test("packets of every size arrive as they were, and are counted", async () => {
    const [left, right] = memoryCarrierPair();
    const [near, far] = [end(left), end(right)];
    const sent = [packet(20, 1), packet(1_500, 1), packet(65_535, 1), packet(40, 1)];
    for (const one of sent) near.pipe.send(one.slice());
    await waitUntil(() => far.packets.length === 4, { what: "the packets" });
    expect(far.packets).toEqual(sent);
    const bytes = 20 + 1_500 + 65_535 + 40;
    expect(near.pipe.stats()).toEqual({ sentBytes: bytes, receivedBytes: 0, droppedPackets: 0 });
    expect(far.pipe.stats().receivedBytes).toBe(bytes);
  });

  test("packets of one turn go in one write", async () => {
    const [left, right] = memoryCarrierPair();
    let writes = 0;
    const counted: Carrier = {
      kind: left.kind,
      remote: left.remote,
      bufferedBytes: 0,
      start: (handlers) => left.start(handlers),
      pause: () => left.pause(),
      resume: () => left.resume(),
      close: (reason) => left.close(reason),
      channelBinding: () => undefined,
      write(chunks) {
        writes += 1;
        return left.write(chunks);
      },
    };
    const [near, far] = [end(counted), end(right)];
    for (let count = 0; count < 50; count += 1) near.pipe.send(packet(100, count));
    await waitUntil(() => far.packets.length === 50, { what: "the packets" });
    expect(writes).toBe(1);
  });

  test("a peer that does not read costs no more than the bound, and hears no less afterwards", async () => {
    const [left, right] = memoryCarrierPair({ highWaterBytes: 64 * 1024 });
    const [near, far] = [end(left), end(right)];
    right.pause();
    for (let count = 0; count < 1_000; count += 1) {
      near.pipe.send(packet(10_000, count & 0xff));
      if (count % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    const { sentBytes, droppedPackets } = near.pipe.stats();
    expect(droppedPackets).toBeGreaterThan(800);
    expect(sentBytes + (1_000 - droppedPackets) * 10_000).toBeLessThan(4 * 1024 * 1024);
    right.resume();
    await waitUntil(() => far.packets.length === 1_000 - droppedPackets, { what: "the packets" });
    near.pipe.send(packet(77, 7));
    await waitUntil(() => far.packets.at(-1)?.length === 77, { what: "one more" });
  });

  test("a closed pipe has sent what it was given, and tells both ends", async () => {
    const [left, right] = memoryCarrierPair();
    const [near, far] = [end(left), end(right)];
    near.pipe.send(packet(99, 1));
    const goodbye: CloseReason = { by: "us", code: "shutdown", text: "the process is ending" };
    near.pipe.close(goodbye);
    near.pipe.send(packet(98, 1));
    await waitUntil(() => far.closed.length === 1, { what: "the end" });
    expect(near.closed).toEqual([goodbye]);
    expect(far.closed[0]).toMatchObject({ by: "peer-app" });
    expect(far.packets).toEqual([packet(99, 1)]);
  });

  test("a shell's greeting ends it, and is told", async () => {
    const [left, right] = memoryCarrierPair();
    const near = end(left);
    end(right).pipe.clear();
    right.write([Buffer.from("Welcome to box!\u001b[0m\n")]);
    await waitUntil(() => near.closed.length === 1, { what: "the end" });
    expect(near.closed[0]).toMatchObject({ by: "us", code: "protocol_error" });
    expect(near.closed[0]!.text).toContain('began with "Welcome to box!\\u{1b}[0m');
  });

  test("frames of other types are skipped, an end within a frame is no orderly one", async () => {
    const [left, right] = memoryCarrierPair();
    const near = end(left);
    end(right).pipe.clear();
    right.write([
      encodeFrame(frameType.json, Buffer.from("{}")),
      encodeFrame(9, Buffer.from("new")),
      encodeFrame(frameType.l3, packet(20, 3)),
      encodeFrame(frameType.l3, packet(20, 4)).subarray(0, 11),
    ]);
    await waitUntil(() => near.packets.length === 1, { what: "a packet" });
    right.close({ by: "us", code: "closed", text: "" });
    await waitUntil(() => near.closed.length === 1, { what: "the end" });
    expect(near.closed[0]).toMatchObject({ by: "network", code: "truncated" });
    expect(near.packets).toEqual([packet(20, 3)]);
  });
});
