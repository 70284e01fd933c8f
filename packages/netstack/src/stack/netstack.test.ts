import { once } from "node:events";
import { describe, expect, test } from "vitest";
import { millis, splice, systemClock, systemCode, systemRandom } from "@culvert/runtime";
import { seededRandom, VirtualClock, waitUntil, within } from "@culvert/testkit";
import { encodeTcp, tcpFlag } from "../packet/index.ts";
import {
  flagsOf,
  peerAddress,
  peerInitial,
  peerPort,
  ScriptedPeer,
  stackAddress,
} from "../scripted-peer.test-data.ts";
import type { TcpConnection } from "../tcp/tcp-connection.ts";
import type { NetstackOptions } from "./netstack-options.ts";
import { Netstack } from "./netstack.ts";

const { syn, ack, rst } = tcpFlag;
const reason = { by: "us", code: "test_over", text: "" } as const;

/** Two stacks that hand each other their packets at once. */
function pair(options: Partial<NetstackOptions> = {}): readonly [Netstack, Netstack] {
  const make = (address: string, other: () => Netstack): Netstack =>
    new Netstack({
      clock: systemClock,
      random: systemRandom,
      addresses: [address],
      output: (packet) => other().receive(packet),
      ...options,
    });
  const near: Netstack = make("10.0.0.1", () => far);
  const far: Netstack = make("10.0.0.2", () => near);
  return [near, far];
}

/** Both ends of a connection between two stacks. */
async function connected(
  near: Netstack,
  far: Netstack,
): Promise<readonly [TcpConnection, TcpConnection]> {
  const accepted = new Promise<TcpConnection>((resolve) => {
    const listener = far.listen({ port: 80 }, {}, (connection) => {
      listener.close();
      resolve(connection);
    });
  });
  const opened = await near.connect({ address: "10.0.0.2", port: 80 });
  return [opened, await accepted];
}

/** Everything until the end. An async iterator would destroy the stream then, and with it the other direction. */
async function readAll(stream: TcpConnection): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  stream.on("data", (chunk: Uint8Array) => chunks.push(chunk));
  await once(stream, "end");
  return Buffer.concat(chunks);
}

async function failureOf(attempt: Promise<unknown>): Promise<string | undefined> {
  try {
    await attempt;
  } catch (error) {
    return systemCode(error);
  }
  return "none";
}

describe("two stacks back to back", () => {
  test.each([576, 1_500, 65_535])("carry bytes both ways at MTU %i", async (mtu) => {
    const [near, far] = pair({ mtu });
    const [left, right] = await connected(near, far);
    const sent = seededRandom(3).bytes(3_000_000);
    const [toRight, toLeft] = [readAll(right), readAll(left)];
    left.end(sent);
    right.end(sent.subarray(0, 1_000_000));
    const limit = { what: "the bytes", limitMs: 20_000 };
    expect(Buffer.compare(await within(toRight, limit), sent)).toBe(0);
    expect(Buffer.compare(await within(toLeft, limit), sent.subarray(0, 1_000_000))).toBe(0);
    await waitUntil(() => left.closed && right.closed, { what: "both to close" });
    expect(left.stats()).toMatchObject({ sentBytes: 3_000_000, receivedBytes: 1_000_000 });
    near.close(reason);
    far.close(reason);
  });

  test("hold a writer whose reader does not read, within both buffers", async () => {
    const [near, far] = pair({ tcp: { receiveBufferBytes: 100_000, sendBufferBytes: 50_000 } });
    const [left, right] = await connected(near, far);
    let acceptedBytes = 0;
    const fill = (): void => {
      let room = true;
      while (room) room = left.write(new Uint8Array(10_000), () => (acceptedBytes += 10_000));
      left.once("drain", fill);
    };
    fill();
    await waitUntil(() => right.unreadBytes >= 100_000, { what: "a full window" });
    for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    // The window is told in units of 64 bytes.
    expect(right.unreadBytes).toBeLessThan(100_064);
    const buffersBytes = 50_000 + left.writableHighWaterMark;
    expect(left.stats().unacknowledgedBytes).toBeLessThanOrEqual(buffersBytes);
    expect(acceptedBytes).toBeLessThanOrEqual(100_064 + buffersBytes);
    near.close(reason);
    far.close(reason);
  });

  test("are byte streams: splice carries them, half-close and reset", async () => {
    const [near, middle] = pair();
    const [middleAgain, far] = pair();
    const [left, inner] = await connected(near, middle);
    const [outer, right] = await connected(middleAgain, far);
    const spliced = splice(inner, outer);
    left.end("question");
    expect(String(await readAll(right))).toBe("question");
    right.write("answer");
    expect(String((await once(left, "data"))[0])).toBe("answer");
    left.on("error", () => undefined);
    right.destroy(new Error("enough"));
    const { failure } = await within(spliced, { what: "the splice" });
    expect([failure?.side, systemCode(failure?.error)]).toEqual(["right", "stream_reset"]);
    await waitUntil(() => left.destroyed, { what: "the reset" });
    expect(systemCode(left.errored)).toBe("stream_reset");
    for (const stack of [near, middle, middleAgain, far]) stack.close(reason);
  });

  test("acknowledge FIN before `finish`", async () => {
    const [near, far] = pair();
    const [left, right] = await connected(near, far);
    left.end("all of it");
    await once(left, "finish");
    expect(right.unreadBytes).toBe(9);
    expect(left.stats().unacknowledgedBytes).toBe(0);
    near.close(reason);
    far.close(reason);
  });
});

describe("listening", () => {
  test("is by port of one address or of all, the one address first", async () => {
    const peer = new ScriptedPeer({ addresses: [stackAddress, "10.9.0.5"] });
    const seen: string[] = [];
    peer.stack.listen({ port: 80 }, {}, ({ local }) => seen.push(`all ${local.address}`));
    peer.stack.listen({ address: "10.9.0.5", port: 80 }, {}, () => seen.push("one"));
    const from = { local: { address: stackAddress } };
    for (const address of [stackAddress, "10.9.0.5"]) {
      const opening = peer.stack.connect({ address, port: 80 }, from);
      await peer.clock.advance(0);
      await opening;
    }
    expect(seen).toEqual([`all ${stackAddress}`, "one"]);
  });

  test("refuses a taken port and a foreign address, and frees a closed port", () => {
    const { stack } = new ScriptedPeer();
    const listen = (address?: string) => () =>
      stack.listen({ port: 80, ...(address !== undefined && { address }) }, {}, () => undefined);
    const listener = listen()();
    expect(listen()).toThrow(expect.objectContaining({ code: "address_in_use" }));
    expect(listen("10.1.1.1")).toThrow(expect.objectContaining({ code: "address_unavailable" }));
    expect(listen("10.1.1")).toThrow(expect.objectContaining({ code: "bad_address" }));
    listener.close();
    listener.close();
    expect(listen()().local).toEqual({ address: "0.0.0.0", port: 80 });
    expect(stack.listen({ port: 0 }, {}, () => undefined).local.port).toBeGreaterThan(15_999);
  });

  test("lets no more handshakes go on than its backlog, and others when those are over", async () => {
    const peer = new ScriptedPeer({ tcp: { handshakeTimeoutMs: 1_500 } });
    peer.stack.listen({ port: 80 }, { backlog: 2 }, () => undefined);
    const call = (sourcePort: number): Promise<void> =>
      peer.send({ sourcePort, sequence: peerInitial, flags: syn, acknowledgment: 0 });
    for (const port of [1, 2, 3]) await call(port);
    expect(peer.taken()).toHaveLength(2);
    expect(peer.stack.stats().drops.backlog_full).toBe(1);
    await peer.clock.advance(2_000);
    peer.taken();
    await call(4);
    expect(peer.taken()).toHaveLength(1);
  });

  test("bounds the handshakes of all listeners, and all connections", async () => {
    const peer = new ScriptedPeer({ limits: { halfOpen: 3, connections: 4 } });
    peer.stack.listen({ port: 80 }, {}, () => undefined);
    for (let sourcePort = 1; sourcePort <= 5; sourcePort += 1) {
      await peer.send({ sourcePort, sequence: peerInitial, flags: syn, acknowledgment: 0 });
    }
    expect(peer.stack.stats()).toMatchObject({
      tcp: { halfOpen: 3, connections: 3 },
      drops: { backlog_full: 2 },
    });
    void peer.stack.connect({ address: peerAddress, port: 1 }).catch(() => undefined);
    expect(await failureOf(peer.stack.connect({ address: peerAddress, port: 2 }))).toBe(
      "too_many_connections",
    );
  });

  test("takes no more calls than there may be connections", async () => {
    const peer = new ScriptedPeer({ limits: { connections: 2 } });
    peer.stack.listen({ port: 80 }, {}, () => undefined);
    for (const sourcePort of [1, 2, 3]) {
      await peer.send({ sourcePort, sequence: peerInitial, flags: syn, acknowledgment: 0 });
    }
    expect(peer.taken().map(flagsOf)).toEqual(["SA", "SA"]);
    expect(peer.stack.stats().drops.too_many_connections).toBe(1);
  });

  test("ends handshakes under way when it is closed, and keeps connections", async () => {
    const peer = new ScriptedPeer();
    const accepted: TcpConnection[] = [];
    const listener = peer.stack.listen({ port: 80 }, {}, (connection) => accepted.push(connection));
    const call = { sequence: peerInitial, flags: syn, acknowledgment: 0 };
    await peer.send(call);
    await peer.send({ acknowledgment: peer.only().sequence + 1 });
    await peer.send({ ...call, sourcePort: 9 });
    peer.taken();
    listener.close();
    expect(flagsOf(peer.only())).toBe("RA");
    expect(accepted[0]?.destroyed).toBe(false);
    expect(peer.stack.stats().tcp).toMatchObject({ connections: 1, halfOpen: 0, listeners: 0 });
  });
});

describe("a SYN that nobody listens for", () => {
  const call = { sequence: peerInitial, flags: syn, acknowledgment: 0 };

  test("is handed over, refused or ignored as `onUnclaimed` says", async () => {
    const peer = new ScriptedPeer({ addresses: ["10.200.0.1"] });
    const asked: unknown[] = [];
    const taken: TcpConnection[] = [];
    peer.stack.onUnclaimed = (local, remote) => {
      asked.push([local, remote]);
      if (local.port === 81) return "reset";
      return local.port === 82 ? "drop" : (connection) => taken.push(connection);
    };
    await peer.send(call);
    expect(asked).toEqual([
      [
        { address: stackAddress, port: 80 },
        { address: peerAddress, port: peerPort },
      ],
    ]);
    await peer.send({ acknowledgment: peer.only().sequence + 1 });
    expect(taken[0]?.local).toEqual({ address: stackAddress, port: 80 });
    await peer.send({ ...call, destinationPort: 81 });
    expect(flagsOf(peer.only())).toBe("RA");
    await peer.send({ ...call, destinationPort: 82 });
    expect([peer.taken(), peer.stack.stats().drops.unclaimed]).toEqual([[], 1]);
  });

  test("is refused at an own address and ignored at a foreign one without it", async () => {
    const own = new ScriptedPeer();
    await own.send(call);
    expect(flagsOf(own.only())).toBe("RA");
    const foreign = new ScriptedPeer({ addresses: ["10.200.0.1"] });
    await foreign.send(call);
    await foreign.send();
    expect([foreign.taken(), foreign.stack.stats().drops.foreign_address]).toEqual([[], 2]);
  });
});

describe("connecting", () => {
  test("ends by its signal, before and after it began", async () => {
    const peer = new ScriptedPeer();
    const controller = new AbortController();
    const remote = { address: peerAddress, port: 1 };
    const attempt = failureOf(peer.stack.connect(remote, { signal: controller.signal }));
    controller.abort();
    expect(await attempt).toBe("aborted");
    expect(await failureOf(peer.stack.connect(remote, { signal: controller.signal }))).toBe(
      "aborted",
    );
    expect(peer.stack.stats().tcp.connections).toBe(0);
  });

  test("ends by its time-out", async () => {
    const peer = new ScriptedPeer();
    const attempt = failureOf(
      peer.stack.connect({ address: peerAddress, port: 1 }, { timeoutMs: millis(500) }),
    );
    await peer.clock.advance(600);
    expect(await attempt).toBe("timeout");
  });

  test("takes the local end it is told, once", async () => {
    const peer = new ScriptedPeer();
    const remote = { address: peerAddress, port: 1 };
    const local = { address: stackAddress, port: 4_000 };
    void peer.stack.connect(remote, { local }).catch(() => undefined);
    expect(peer.only().sourcePort).toBe(4_000);
    expect(await failureOf(peer.stack.connect(remote, { local }))).toBe("address_in_use");
    peer.stack.listen({ port: 4_001 }, {}, () => undefined);
    const listening = { ...local, port: 4_001 };
    expect(await failureOf(peer.stack.connect(remote, { local: listening }))).toBe(
      "address_in_use",
    );
    const foreign = { address: "10.1.1.1" };
    expect(await failureOf(peer.stack.connect(remote, { local: foreign }))).toBe(
      "address_unavailable",
    );
    expect(await failureOf(peer.stack.connect({ address: "x", port: 1 }))).toBe("bad_address");
    expect(await failureOf(peer.stack.connect({ ...remote, port: 0 }))).toBe("bad_address");
  });

  test("to an own address stays inside, or goes out where it should", async () => {
    const inside = new ScriptedPeer();
    inside.stack.listen({ port: 80 }, {}, (connection) => connection.end("hello"));
    const opening = inside.stack.connect({ address: stackAddress, port: 80 });
    await inside.clock.advance(0);
    const connection = await opening;
    await inside.clock.advance(0);
    expect(String(connection.read())).toBe("hello");
    expect(inside.taken()).toEqual([]);
    const outside = new ScriptedPeer({ loopOwnAddresses: false });
    void outside.stack.connect({ address: stackAddress, port: 80 }).catch(() => undefined);
    expect(flagsOf(outside.only())).toBe("S");
  });
});

describe("a stack", () => {
  test("closes all it has, tells peers and users, and takes nothing more", async () => {
    const peer = new ScriptedPeer();
    const connection = await peer.open();
    const attempt = failureOf(peer.stack.connect({ address: peerAddress, port: 1 }));
    peer.taken();
    peer.stack.close(reason);
    expect(peer.only().flags).toBe(rst | ack);
    expect(await attempt).toBe("connection_closed");
    expect(systemCode(connection.errored)).toBe("connection_closed");
    expect(peer.clock.pendingTimers).toBe(0);
    await peer.send();
    expect([peer.taken(), peer.stack.stats().drops.closed]).toEqual([[], 1]);
    expect(() => peer.stack.listen({ port: 1 }, {}, () => undefined)).toThrow(
      expect.objectContaining({ code: "connection_closed" }),
    );
    peer.stack.close(reason);
  });

  test("bounds what it remembers of connections that it closed first", async () => {
    const clock = new VirtualClock();
    const stack = new Netstack({
      clock,
      random: seededRandom(1),
      addresses: ["10.0.0.1"],
      output: () => undefined,
      limits: { timeWait: 5 },
    });
    stack.listen({ port: 80 }, {}, (connection) => connection.resume().end());
    for (let count = 0; count < 12; count += 1) {
      const opening = stack.connect({ address: "10.0.0.1", port: 80 });
      await clock.advance(0);
      const connection = await opening;
      connection.resume().end();
      await clock.advance(10);
    }
    expect(stack.stats().tcp).toMatchObject({ timeWait: 5, connections: 5 });
  });

  test("takes packets that come while it sends in its next turn, and not without bound", async () => {
    const peer: ScriptedPeer = new ScriptedPeer({
      limits: { waitingPackets: 2 },
      output: () => {
        for (let count = 0; count < 5; count += 1) peer.stack.receive(new Uint8Array(count));
      },
    });
    void peer.stack.connect({ address: peerAddress, port: 1 }).catch(() => undefined);
    expect(peer.stack.stats().drops).toMatchObject({ queue_full: 3, truncated: 0 });
    await peer.clock.advance(0);
    expect(peer.stack.stats().drops).toMatchObject({ queue_full: 3, truncated: 2 });
  });

  test("drops what comes from or goes to no host (RFC 9293 §3.9.2.3)", () => {
    const peer = new ScriptedPeer();
    // Not even who takes calls to any address is asked.
    peer.stack.onUnclaimed = () => "reset";
    const header = {
      sourcePort: 1,
      destinationPort: 2,
      sequence: 0,
      acknowledgment: 0,
      flags: syn,
      window: 0,
    };
    peer.stack.receive(encodeTcp({ source: 0xe000_0001, destination: 0x0a09_0001 }, header));
    peer.stack.receive(encodeTcp({ source: 0x0a09_0002, destination: 0xffff_ffff }, header));
    expect(peer.stack.stats().drops).toMatchObject({ bad_source: 1, foreign_address: 1 });
    expect(peer.taken()).toEqual([]);
  });

  test("refuses options that cannot be", () => {
    const make = (options: Partial<NetstackOptions>) => () => new ScriptedPeer(options);
    expect(make({ addresses: ["10.0.0.256"] })).toThrow(/no IPv4 address/);
    expect(make({ mtu: 500 })).toThrow(/MTU/);
    expect(make({ mtu: 65_536 })).toThrow(/MTU/);
  });
});
