import { describe, expect, test } from "vitest";
import { ScriptedPeer } from "../scripted-peer.test-data.ts";
import type { TcpConnection } from "./tcp-connection.ts";

/** Sends so many segments of one byte, each a part of a packet of its own. */
async function sendSingleBytes(peer: ScriptedPeer, count: number): Promise<void> {
  for (let sent = 0; sent < count; sent += 1) {
    peer.sendNow({ payload: Uint8Array.of(sent) });
    peer.sequence = (peer.sequence + 1) >>> 0;
    if (sent % 100 === 0) await peer.clock.advance(0);
  }
  await peer.clock.advance(0);
}

/** All that a paused connection hands out, piece by piece. */
function readPieces(connection: TcpConnection): Promise<Uint8Array[]> {
  const pieces: Uint8Array[] = [];
  connection.on("data", (piece: Uint8Array) => pieces.push(piece));
  return new Promise((resolve) => connection.once("end", () => resolve(pieces)));
}

describe("a connection whose reader does not read", () => {
  test("keeps segments of one byte in few pieces, and gives all of them in order at last", async () => {
    const peer = new ScriptedPeer();
    const connection = await peer.open();
    await sendSingleBytes(peer, 20_000);
    await peer.send({ flags: 17 });
    const pieces = await readPieces(connection);
    const whole = Buffer.concat(pieces);
    expect(whole.length).toBe(20_000);
    expect(whole.every((byte, index) => byte === index % 256)).toBe(true);
    expect(pieces.length).toBeLessThan(20);
    connection.destroy();
  });

  test("counts what it keeps against the window (RFC 9293 §3.8.6)", async () => {
    const peer = new ScriptedPeer({ tcp: { receiveBufferBytes: 10_000 } });
    const connection = await peer.open();
    await sendSingleBytes(peer, 4_000);
    expect(peer.taken().at(-1)?.window).toBe(6_000);
    const seen = readPieces(connection);
    await peer.send({ flags: 17 });
    await seen;
    connection.destroy();
  });

  test("tells a reader who waits for more bytes than have come, with each that comes", async () => {
    const peer = new ScriptedPeer();
    const connection = await peer.open();
    const read: unknown[] = [];
    connection.on("readable", () => {
      const piece: unknown = connection.read(10);
      if (piece !== null) read.push(piece);
    });
    for (let count = 0; count < 20; count += 1) {
      await peer.sendBytes(1);
      await new Promise(setImmediate);
    }
    expect(read.map((piece) => (piece as Uint8Array).length)).toEqual([10, 10]);
    connection.destroy();
  });

  test("tells the end after everything that it kept", async () => {
    const peer = new ScriptedPeer();
    const connection = await peer.open();
    await sendSingleBytes(peer, 300);
    await peer.send({ flags: 17 });
    let bytes = 0;
    for await (const piece of connection) bytes += (piece as Uint8Array).length;
    expect(bytes).toBe(300);
    connection.destroy();
  });

  test("that is paused again and again gives everything once", async () => {
    const peer = new ScriptedPeer();
    const connection = await peer.open();
    const ended = new Promise((resolve) => connection.once("end", resolve));
    let next = 0;
    connection.on("data", (piece: Uint8Array) => {
      for (const byte of piece) expect(byte).toBe(next++ % 256);
      connection.pause();
      setImmediate(() => connection.resume());
    });
    await sendSingleBytes(peer, 5_000);
    await peer.send({ flags: 17 });
    await ended;
    expect(next).toBe(5_000);
    connection.destroy();
  });
});
