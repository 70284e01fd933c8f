import { describe, expect, test } from "vitest";
import { tcpFlag } from "../packet/index.ts";
import { peerInitial, ScriptedPeer } from "../scripted-peer.test-data.ts";
import type { TcpConnection } from "../tcp/tcp-connection.ts";

const segmentBytes = 1_400;

/** A stack that keeps 100,000 bytes, and a connection that nobody reads, with so many segments. */
async function withUnread(
  segments: number,
): Promise<{ peer: ScriptedPeer; connection: TcpConnection }> {
  const peer = new ScriptedPeer({ limits: { unreadBytes: 100_000 } });
  const connection = await peer.open({ windowScale: 6 });
  for (let sent = 0; sent < segments; sent += 1) await peer.sendBytes(segmentBytes);
  return { peer, connection };
}

describe("what all connections of a stack together keep for readers who do not read", () => {
  test("is bounded: segments beyond it are dropped and counted, though the window had room", async () => {
    const { peer, connection } = await withUnread(100);
    const { tcp } = peer.stack.stats();
    expect(connection.unreadBytes).toBeLessThan(100_000 + segmentBytes);
    expect(tcp.unreadBytes).toBe(connection.unreadBytes);
    expect(tcp.unreadRefused).toBe(100 - connection.unreadBytes / segmentBytes);
    connection.destroy();
    expect(peer.stack.stats().tcp.unreadBytes).toBe(0);
  });

  test("counts what waits for its predecessors too", async () => {
    const { peer, connection } = await withUnread(1);
    peer.sequence += segmentBytes;
    for (let sent = 0; sent < 100; sent += 1) await peer.sendBytes(segmentBytes);
    expect(connection.unreadBytes).toBe(segmentBytes);
    expect(peer.stack.stats().tcp.unreadBytes).toBeGreaterThanOrEqual(100_000);
    expect(peer.stack.stats().tcp.unreadBytes).toBeLessThan(100_000 + segmentBytes);
    connection.destroy();
    expect(peer.stack.stats().tcp.unreadBytes).toBe(0);
  });

  test("refuses new connections of peers, counted, until it is read", async () => {
    const { peer, connection } = await withUnread(80);
    const accepted: TcpConnection[] = [];
    peer.stack.listen({ port: 81 }, {}, (each) => accepted.push(each));
    peer.stackPort = 81;
    peer.taken();
    const syn = { sequence: peerInitial, acknowledgment: 0, flags: tcpFlag.syn };
    await peer.send(syn);
    expect(peer.taken()).toEqual([]);
    expect(peer.stack.stats().drops.unread_full).toBe(1);
    connection.resume();
    await new Promise(setImmediate);
    expect(peer.stack.stats().tcp.unreadBytes).toBe(0);
    await peer.send(syn);
    expect(peer.taken().filter(({ flags }) => (flags & tcpFlag.syn) !== 0)).toHaveLength(1);
    connection.destroy();
  });
});
