import { describe, expect, test } from "vitest";
import { millis, systemCode } from "@culvert/runtime";
import { tcpFlag } from "../packet/index.ts";
import {
  flagsOf,
  peerAddress,
  peerInitial,
  peerPort,
  ScriptedPeer,
} from "../scripted-peer.test-data.ts";
import type { TcpConnection } from "./tcp-connection.ts";

const { fin, syn, rst, ack } = tcpFlag;

/** What became of a connection. */
function watch(connection: TcpConnection): { code: string | undefined; closed: boolean } {
  const seen: { code: string | undefined; closed: boolean } = { code: undefined, closed: false };
  connection.on("error", (error) => (seen.code = systemCode(error)));
  connection.on("close", () => (seen.closed = true));
  return seen;
}

/** A connection that the stack opens to the peer, and the outcome of its attempt. */
async function dial(
  peer: ScriptedPeer,
  timeoutMs = 60_000,
): Promise<{ code?: string | undefined; connection?: TcpConnection }> {
  const outcome: { code?: string | undefined; connection?: TcpConnection } = {};
  peer.stack
    .connect({ address: peerAddress, port: peerPort }, { timeoutMs: millis(timeoutMs) })
    .then(
      (connection) => (outcome.connection = connection),
      (error: unknown) => (outcome.code = systemCode(error)),
    );
  await peer.clock.advance(0);
  return outcome;
}

/** Reads the SYN that the stack sends, so that the peer knows its numbers. */
function takeSyn(peer: ScriptedPeer): void {
  const first = peer.only();
  expect(flagsOf(first)).toBe("S");
  peer.stackPort = first.sourcePort;
  peer.acknowledgment = (first.sequence + 1) >>> 0;
}

describe("opening", () => {
  test("offers everything in SYN (RFC 9293 §3.7.1, RFC 7323, RFC 2018)", async () => {
    const peer = new ScriptedPeer({ mtu: 65_535 });
    await dial(peer);
    const { options } = peer.only();
    expect(options).toMatchObject({ mss: 65_495, windowScale: 6, sackPermitted: true });
    expect(options.timestamps).toBeDefined();
  });

  test("answers only what the peer offered", async () => {
    const peer = new ScriptedPeer();
    await peer.open();
    peer.stack.listen({ port: 81 }, {}, () => undefined);
    peer.stackPort = 81;
    await peer.send({ sequence: 5, flags: syn, acknowledgment: 0 });
    const { options } = peer.taken().at(-1)!;
    expect(options.mss).toBe(1_460);
    expect([options.windowScale, options.sackPermitted, options.timestamps]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });

  test("connects by SYN, SYN with ACK, ACK", async () => {
    const peer = new ScriptedPeer();
    const outcome = await dial(peer);
    takeSyn(peer);
    await peer.send({ sequence: peerInitial, flags: syn | ack });
    expect(outcome.connection?.remote).toEqual({ address: peerAddress, port: peerPort });
    expect(peer.only()).toMatchObject({
      flags: ack,
      sequence: peer.acknowledgment,
      acknowledgment: peer.sequence,
    });
  });

  test("takes the window of SYN with ACK as it is, unscaled (RFC 7323 §2.2)", async () => {
    const peer = new ScriptedPeer();
    const outcome = await dial(peer);
    takeSyn(peer);
    const options = { mss: 1_000, windowScale: 10 };
    await peer.send({ sequence: peerInitial, flags: syn | ack, window: 1_500, options });
    peer.taken();
    outcome.connection?.write(new Uint8Array(5_000));
    await peer.clock.advance(0);
    expect(peer.taken().map(({ payload }) => payload.length)).toEqual([1_000]);
  });

  test("sends SYN again with doubled delays, and gives up in time (RFC 6298 §5.5)", async () => {
    const peer = new ScriptedPeer();
    const outcome = await dial(peer, 10_000);
    const times: number[] = [];
    for (let ms = 0; ms < 12_000; ms += 100) {
      if (peer.taken().length > 0) times.push(peer.clock.now());
      await peer.clock.advance(100);
    }
    expect(times.map((ms) => Math.round(ms / 1_000))).toEqual([0, 1, 3, 7]);
    expect(outcome.code).toBe("timeout");
    expect(peer.stack.stats().tcp.connections).toBe(0);
  });

  test("is refused by RST that acknowledges SYN, and by no other", async () => {
    const peer = new ScriptedPeer();
    const outcome = await dial(peer);
    takeSyn(peer);
    await peer.send({ flags: rst });
    await peer.send({ flags: rst | ack, acknowledgment: peer.acknowledgment + 1 });
    expect(outcome.code).toBeUndefined();
    await peer.send({ flags: rst | ack });
    expect(outcome.code).toBe("refused");
  });

  test("answers an acknowledgement of what was never sent by RST (RFC 9293 §3.10.7.3)", async () => {
    const peer = new ScriptedPeer();
    const outcome = await dial(peer);
    takeSyn(peer);
    await peer.send({ flags: ack, acknowledgment: 1_234 });
    expect(peer.only()).toMatchObject({ flags: rst, sequence: 1_234 });
    expect(outcome.code).toBeUndefined();
  });

  test("answers no RST by RST, whatever it acknowledges (RFC 9293 §3.10.7.3)", async () => {
    const peer = new ScriptedPeer();
    const outcome = await dial(peer);
    takeSyn(peer);
    await peer.send({ flags: rst | ack, acknowledgment: 1_234 });
    expect([peer.taken(), outcome.code]).toEqual([[], undefined]);
  });

  test("fails when the network says that SYN arrived nowhere (RFC 5461 §4.1)", async () => {
    const peer = new ScriptedPeer();
    const outcome = await dial(peer);
    takeSyn(peer);
    await peer.sendUnreachable(peer.acknowledgment - 1, 1);
    expect(outcome.code).toBe("dial_failed");
    expect(peer.stack.stats().tcp.connections).toBe(0);
  });

  test("goes on when the network speaks of what was not sent (RFC 5927 §4.1)", async () => {
    const peer = new ScriptedPeer();
    const outcome = await dial(peer);
    takeSyn(peer);
    await peer.sendUnreachable(peer.acknowledgment, 1);
    await peer.sendUnreachable(peer.acknowledgment - 2, 1);
    await peer.send({ sequence: peerInitial, flags: syn | ack });
    expect(outcome).toMatchObject({ connection: { destroyed: false } });
  });

  test("answers SYN that comes again by SYN with ACK again (RFC 9293 §3.10.7.4)", async () => {
    const peer = new ScriptedPeer();
    peer.stack.listen({ port: 80 }, {}, () => undefined);
    const call = { sequence: peerInitial, flags: syn, acknowledgment: 0 };
    await peer.send(call);
    const answer = peer.only();
    await peer.send(call);
    const { flags, sequence, acknowledgment } = peer.only();
    expect({ flags, sequence, acknowledgment }).toEqual({
      flags: syn | ack,
      sequence: answer.sequence,
      acknowledgment: answer.acknowledgment,
    });
  });

  test("of both ends at once is refused by RST like any other (RFC 9293 §3.10.7.4)", async () => {
    const peer = new ScriptedPeer();
    const outcome = await dial(peer);
    takeSyn(peer);
    await peer.send({ sequence: peerInitial, flags: syn, acknowledgment: 0 });
    await peer.send({ flags: rst });
    expect(outcome.code).toBe("refused");
  });

  test("succeeds when both ends call at once (RFC 9293 §3.5)", async () => {
    const peer = new ScriptedPeer();
    const outcome = await dial(peer);
    takeSyn(peer);
    await peer.send({ sequence: peerInitial, flags: syn, acknowledgment: 0 });
    expect(flagsOf(peer.only())).toBe("SA");
    await peer.send({ sequence: peerInitial, flags: syn | ack });
    expect(outcome.connection?.remote.port).toBe(peerPort);
    expect(flagsOf(peer.only())).toBe("A");
  });

  test("repeats SYN with ACK until it is acknowledged, then gives up", async () => {
    const peer = new ScriptedPeer({ tcp: { handshakeTimeoutMs: 5_000 } });
    peer.stack.listen({ port: 80 }, {}, () => undefined);
    await peer.send({ sequence: peerInitial, flags: syn, acknowledgment: 0 });
    await peer.clock.advance(4_500);
    expect(peer.taken().map(flagsOf)).toEqual(["SA", "SA", "SA"]);
    await peer.clock.advance(1_000);
    expect(peer.taken().map(flagsOf)).toEqual(["RA"]);
    expect(peer.stack.stats().tcp).toMatchObject({ connections: 0, halfOpen: 0 });
  });

  test("answers a wrong acknowledgement of SYN with ACK by RST, and waits on", async () => {
    const peer = new ScriptedPeer();
    let accepted = 0;
    peer.stack.listen({ port: 80 }, {}, () => (accepted += 1));
    await peer.send({ sequence: peerInitial, flags: syn, acknowledgment: 0 });
    const answer = peer.only();
    await peer.send({ acknowledgment: answer.sequence + 77 });
    expect(peer.only()).toMatchObject({ flags: rst, sequence: answer.sequence + 77 });
    expect(accepted).toBe(0);
    await peer.send({ acknowledgment: answer.sequence + 1 });
    expect(accepted).toBe(1);
  });
});

describe("what does not belong (RFC 5961)", () => {
  test("RST ends a connection only at exactly the next position", async () => {
    const peer = new ScriptedPeer();
    const seen = watch(await peer.open());
    await peer.send({ flags: rst, sequence: peer.sequence + 1 });
    expect(flagsOf(peer.only())).toBe("A");
    await peer.send({ flags: rst, sequence: peer.sequence - 1 });
    expect(peer.taken()).toEqual([]);
    expect(seen.closed).toBe(false);
    await peer.send({ flags: rst });
    expect(seen).toEqual({ code: "stream_reset", closed: true });
    expect(peer.stack.stats().tcp.connections).toBe(0);
  });

  test("SYN in an open connection is challenged, not believed", async () => {
    const peer = new ScriptedPeer();
    const seen = watch(await peer.open());
    for (const sequence of [peer.sequence, 5_000]) {
      await peer.send({ flags: syn, sequence });
      expect(peer.only()).toMatchObject({ flags: ack, acknowledgment: peer.sequence });
    }
    expect(seen.closed).toBe(false);
  });

  test("acknowledgements of the future and of the far past are challenged", async () => {
    const peer = new ScriptedPeer();
    const connection = await peer.open();
    const received: Uint8Array[] = [];
    connection.on("data", (chunk: Uint8Array) => received.push(chunk));
    const payload = new Uint8Array(10);
    await peer.send({ acknowledgment: peer.acknowledgment + 1, payload });
    expect(flagsOf(peer.only())).toBe("A");
    await peer.send({ acknowledgment: peer.acknowledgment - 100_000, payload });
    expect(flagsOf(peer.only())).toBe("A");
    expect(received).toEqual([]);
  });

  test("challenges are rate-limited", async () => {
    const peer = new ScriptedPeer();
    await peer.open();
    for (let count = 0; count < 100; count += 1) await peer.send({ flags: syn });
    expect(peer.taken()).toHaveLength(10);
    await peer.clock.advance(1_000);
    for (let count = 0; count < 100; count += 1) await peer.send({ flags: syn });
    expect(peer.taken()).toHaveLength(10);
  });

  test("what ICMP says ends no open connection (RFC 5927 §6)", async () => {
    const peer = new ScriptedPeer();
    const seen = watch(await peer.open());
    await peer.sendUnreachable(peer.acknowledgment - 1, 3);
    await peer.sendUnreachable(peer.acknowledgment, 3);
    expect(seen).toEqual({ code: undefined, closed: false });
  });

  test("segments without ACK are dropped", async () => {
    const peer = new ScriptedPeer();
    const connection = await peer.open();
    await peer.send({ flags: 0, payload: new Uint8Array(4) });
    expect(connection.unreadBytes).toBe(0);
    expect(peer.taken()).toEqual([]);
  });

  test("a connection nobody has is answered by RST (RFC 9293 §3.10.7.1)", async () => {
    const peer = new ScriptedPeer();
    await peer.send({ acknowledgment: 77 });
    expect(peer.only()).toMatchObject({ flags: rst, sequence: 77 });
    await peer.send({ flags: syn, sequence: 9, payload: new Uint8Array(3) });
    expect(peer.only()).toMatchObject({ flags: rst | ack, sequence: 0, acknowledgment: 13 });
    await peer.send({ flags: fin, sequence: 9, payload: new Uint8Array(3) });
    expect(peer.only()).toMatchObject({ flags: rst | ack, acknowledgment: 13 });
    await peer.send({ flags: rst });
    expect(peer.taken()).toEqual([]);
    expect(peer.stack.stats().tcp.resetsSent).toBe(3);
  });
});

describe("timestamps (RFC 7323)", () => {
  test("old segments are acknowledged and dropped", async () => {
    const peer = new ScriptedPeer();
    const connection = await peer.open({ timestamps: { value: 1, echo: 0 } });
    const option = (value: number) => ({ options: { timestamps: { value, echo: 1 } } });
    await peer.sendBytes(5, option(1_000));
    expect(peer.only().options.timestamps?.echo).toBe(1_000);
    await peer.send({ payload: new Uint8Array(5), ...option(999) });
    expect(peer.only().acknowledgment).toBe(peer.sequence);
    expect(connection.unreadBytes).toBe(5);
    await peer.sendBytes(5, option(1_000));
    expect(connection.unreadBytes).toBe(10);
  });

  test("old segments without data are answered by a challenge (§5.3 R1)", async () => {
    const peer = new ScriptedPeer();
    const connection = await peer.open({ timestamps: { value: 1, echo: 0 } });
    const options = { timestamps: { value: 0, echo: 1 } };
    connection.write("hello");
    await peer.clock.advance(0);
    expect(peer.only().payload).toHaveLength(5);
    await peer.send({ acknowledgment: peer.acknowledgment + 5, options });
    expect(flagsOf(peer.only())).toBe("A");
    expect(connection.stats().unacknowledgedBytes).toBe(5);
  });

  test("segments without the option are dropped once it was agreed on, but not RST", async () => {
    const peer = new ScriptedPeer();
    const connection = await peer.open({ timestamps: { value: 1, echo: 0 } });
    const seen = watch(connection);
    await peer.send({ payload: new Uint8Array(5) });
    expect([connection.unreadBytes, peer.taken()]).toEqual([0, []]);
    await peer.send({ flags: rst });
    expect(seen.code).toBe("stream_reset");
  });

  test("a segment outside of the window leaves the latest value alone", async () => {
    const peer = new ScriptedPeer();
    const connection = await peer.open({ timestamps: { value: 1, echo: 0 } });
    await peer.sendBytes(5, { options: { timestamps: { value: 10, echo: 1 } } });
    const forged = { timestamps: { value: 1_000_000, echo: 1 } };
    await peer.send({ sequence: peerInitial - 10, payload: new Uint8Array(2), options: forged });
    await peer.sendBytes(5, { options: { timestamps: { value: 11, echo: 1 } } });
    expect(connection.unreadBytes).toBe(10);
  });
});

describe("receiving", () => {
  test("out of order is held, told by SACK at once, and delivered when the gap is filled", async () => {
    const peer = new ScriptedPeer();
    const connection = await peer.open({ sackPermitted: true });
    const start = peer.sequence;
    await peer.send({ sequence: (start + 10) >>> 0, payload: new Uint8Array(10).fill(2) });
    expect(peer.only()).toMatchObject({
      acknowledgment: start,
      options: { sack: [{ start: start + 10, end: (start + 20) >>> 0 }] },
    });
    expect(connection.unreadBytes).toBe(0);
    await peer.send({ payload: new Uint8Array(10).fill(1) });
    expect(peer.only()).toMatchObject({ acknowledgment: (start + 20) >>> 0 });
    expect([...(connection.read() as Uint8Array)]).toEqual([
      ...new Array<number>(10).fill(1),
      ...new Array<number>(10).fill(2),
    ]);
  });

  test("data leaves room for the reports that ride on it", async () => {
    const peer = new ScriptedPeer();
    const connection = await peer.open({ sackPermitted: true });
    connection.resume();
    peer.sequence = (peer.sequence + 10) >>> 0;
    await peer.sendBytes(10);
    peer.taken();
    connection.write(new Uint8Array(2_000));
    await peer.clock.advance(0);
    // Of 1,460 bytes one report takes 12.
    expect(peer.taken().map(({ payload }) => payload.length)).toEqual([1_448, 552]);
  });

  test("each segment beyond a gap is told of at once, so that its sender can count (RFC 5681 §4.2)", async () => {
    const peer = new ScriptedPeer();
    await peer.open();
    for (const ahead of [10, 20, 30]) {
      peer.sendNow({ sequence: peer.sequence + ahead, payload: new Uint8Array(10) });
    }
    expect(peer.taken().map(({ acknowledgment }) => acknowledgment)).toEqual(
      new Array<number>(3).fill(peer.sequence),
    );
  });

  test("SACK blocks count only where both ends agreed on them (RFC 2018 §2)", async () => {
    for (const sackPermitted of [undefined, true] as const) {
      const peer = new ScriptedPeer();
      const connection = await peer.open({ sackPermitted });
      connection.write(new Uint8Array(14_600));
      await peer.clock.advance(0);
      peer.taken();
      const [start, end] = [peer.acknowledgment + 1_460, peer.acknowledgment + 8 * 1_460];
      await peer.send({ options: { sack: [{ start: start >>> 0, end: end >>> 0 }] } });
      const isSentAgain = sackPermitted === true;
      expect(connection.stats().retransmittedSegments > 0).toBe(isSentAgain);
    }
  });

  test("several segments of a turn share an acknowledgement, but at most eight", async () => {
    const peer = new ScriptedPeer();
    await peer.open();
    for (let count = 0; count < 20; count += 1) {
      peer.sendNow({ payload: new Uint8Array(10) });
      peer.sequence = (peer.sequence + 10) >>> 0;
    }
    await peer.clock.advance(0);
    expect(peer.taken()).toHaveLength(3);
  });

  test("a peer that keeps its second small piece until the first is acknowledged (RFC 896) waits for no timer", async () => {
    const peer = new ScriptedPeer();
    const connection = await peer.open();
    connection.resume();
    for (const bytes of [60, 200, 60, 200]) {
      await peer.sendBytes(bytes);
      // Before this it sends nothing more, as head and body of an answer come from a stack with Nagle's algorithm.
      expect(peer.only()).toMatchObject({ acknowledgment: peer.sequence, payload: { length: 0 } });
    }
    await peer.clock.advance(1_000);
    expect(peer.taken()).toEqual([]);
  });

  test("the acknowledgement rides on an answer that is written in the turn of the question", async () => {
    const peer = new ScriptedPeer();
    const connection = await peer.open();
    connection.on("data", () => connection.write("answer"));
    await peer.sendBytes(100);
    expect(peer.only()).toMatchObject({ acknowledgment: peer.sequence, payload: { length: 6 } });
  });

  test("bytes that came before are acknowledged again", async () => {
    const peer = new ScriptedPeer();
    const connection = await peer.open();
    await peer.sendBytes(10);
    peer.taken();
    await peer.send({ sequence: peer.sequence - 10, payload: new Uint8Array(10) });
    expect(peer.only()).toMatchObject({ acknowledgment: peer.sequence });
    expect(connection.unreadBytes).toBe(10);
  });

  test("the window follows the reader and is never exceeded", async () => {
    const peer = new ScriptedPeer({ tcp: { receiveBufferBytes: 10_000 } });
    const connection = await peer.open();
    for (let count = 0; count < 20; count += 1) await peer.sendBytes(1_000);
    expect(connection.unreadBytes).toBe(10_000);
    expect(peer.taken().at(-1)?.window).toBe(0);
    peer.sequence = (peer.sequence - 10_000) >>> 0;
    connection.resume();
    await peer.clock.advance(0);
    expect(peer.only()).toMatchObject({ window: 10_000, acknowledgment: peer.sequence });
  });

  test("a probe of a closed window is answered, and its acknowledgement counts", async () => {
    const peer = new ScriptedPeer({ tcp: { receiveBufferBytes: 2_000 } });
    const connection = await peer.open();
    connection.write("hello");
    await peer.sendBytes(2_000);
    const { sequence } = peer.taken()[0]!;
    expect(connection.stats().unacknowledgedBytes).toBe(5);
    await peer.send({ payload: new Uint8Array(1), acknowledgment: sequence + 5 });
    expect(peer.only()).toMatchObject({ window: 0, acknowledgment: peer.sequence });
    expect(connection.stats().unacknowledgedBytes).toBe(0);
  });
});

describe("closing", () => {
  test("by us first: FIN-WAIT-1, FIN-WAIT-2, TIME-WAIT, and then nothing", async () => {
    const peer = new ScriptedPeer({ tcp: { timeWaitMs: 1_000 } });
    const connection = await peer.open();
    const seen = watch(connection);
    let finished = false;
    connection.on("finish", () => (finished = true));
    connection.end("bye");
    connection.resume();
    await peer.clock.advance(0);
    const last = peer.only();
    expect([flagsOf(last), last.payload.length]).toEqual(["FPA", 3]);
    expect(finished).toBe(false);
    await peer.send({ acknowledgment: (last.sequence + 4) >>> 0 });
    expect(finished).toBe(true);
    peer.acknowledgment = (last.sequence + 4) >>> 0;
    await peer.sendBytes(5);
    await peer.send({ flags: fin | ack });
    expect(peer.taken().map(flagsOf)).toEqual(["A", "A"]);
    expect(seen).toEqual({ code: undefined, closed: true });
    expect(peer.stack.stats().tcp.timeWait).toBe(1);
    // Our acknowledgement was lost: FIN comes again, and TIME-WAIT begins anew.
    await peer.clock.advance(800);
    await peer.send({ flags: fin | ack });
    expect(flagsOf(peer.only())).toBe("A");
    await peer.clock.advance(800);
    expect(peer.stack.stats().tcp.connections).toBe(1);
    await peer.clock.advance(300);
    expect(peer.stack.stats().tcp).toMatchObject({ connections: 0, timeWait: 0 });
  });

  test("by the peer first: CLOSE-WAIT in which we still write, LAST-ACK, and nothing", async () => {
    const peer = new ScriptedPeer();
    const connection = await peer.open();
    const seen = watch(connection);
    connection.resume();
    await peer.send({ flags: fin | ack });
    peer.sequence = (peer.sequence + 1) >>> 0;
    expect(peer.only().acknowledgment).toBe(peer.sequence);
    connection.write("still");
    await peer.clock.advance(0);
    expect(peer.only().payload).toHaveLength(5);
    connection.end();
    await peer.clock.advance(0);
    expect(flagsOf(peer.only())).toBe("FA");
    expect(seen.closed).toBe(false);
    await peer.send({ acknowledgment: (peer.acknowledgment + 6) >>> 0 });
    expect(seen).toEqual({ code: undefined, closed: true });
    expect(peer.stack.stats().tcp).toMatchObject({ connections: 0, timeWait: 0 });
  });

  test("bytes after FIN of the peer are no more than acknowledged", async () => {
    const peer = new ScriptedPeer();
    const connection = await peer.open();
    connection.resume();
    await peer.send({ flags: fin | ack });
    const end = peer.only().acknowledgment;
    await peer.send({ sequence: end, payload: new Uint8Array(9) });
    expect(peer.only()).toMatchObject({ flags: ack, acknowledgment: end });
    expect(connection.stats().receivedBytes).toBe(0);
  });

  test("by both at once: CLOSING, then TIME-WAIT", async () => {
    const peer = new ScriptedPeer();
    const connection = await peer.open();
    connection.end();
    connection.resume();
    await peer.clock.advance(0);
    expect(flagsOf(peer.only())).toBe("FA");
    await peer.send({ flags: fin | ack });
    peer.sequence = (peer.sequence + 1) >>> 0;
    expect(peer.only().acknowledgment).toBe(peer.sequence);
    expect(peer.stack.stats().tcp.timeWait).toBe(0);
    await peer.send({ acknowledgment: (peer.acknowledgment + 1) >>> 0 });
    expect(peer.stack.stats().tcp.timeWait).toBe(1);
  });

  test("RST does not end TIME-WAIT (RFC 1337), a later SYN does (RFC 6191)", async () => {
    const peer = new ScriptedPeer();
    const connection = await peer.open();
    connection.end();
    connection.resume();
    await peer.clock.advance(0);
    peer.acknowledgment = (peer.acknowledgment + 1) >>> 0;
    await peer.send({ flags: fin | ack });
    peer.sequence = (peer.sequence + 1) >>> 0;
    await peer.send({ flags: rst });
    expect(peer.stack.stats().tcp.timeWait).toBe(1);
    peer.taken();
    let accepted = 0;
    peer.stack.listen({ port: 80 }, {}, () => (accepted += 1));
    await peer.send({ flags: syn, sequence: peer.sequence - 100, acknowledgment: 0 });
    expect(flagsOf(peer.only())).toBe("A");
    await peer.send({ flags: syn, sequence: peer.sequence + 100, acknowledgment: 0 });
    const answer = peer.only();
    expect(flagsOf(answer)).toBe("SA");
    await peer.send({ sequence: peer.sequence + 101, acknowledgment: answer.sequence + 1 });
    expect(accepted).toBe(1);
  });

  test("TIME-WAIT gives way to SYN with a later timestamp only, whatever its number (RFC 6191 §2)", async () => {
    const peer = new ScriptedPeer();
    const connection = await peer.open({ timestamps: { value: 1, echo: 0 } });
    const stamped = (value: number) => ({ options: { timestamps: { value, echo: 1 } } });
    connection.end();
    connection.resume();
    await peer.clock.advance(0);
    peer.acknowledgment = (peer.acknowledgment + 1) >>> 0;
    await peer.send({ flags: fin | ack, ...stamped(1_000) });
    peer.sequence = (peer.sequence + 1) >>> 0;
    expect(peer.stack.stats().tcp.timeWait).toBe(1);
    peer.taken();
    peer.stack.listen({ port: 80 }, {}, () => undefined);
    const call = { flags: syn, acknowledgment: 0 };
    for (const value of [999, 1_000]) {
      await peer.send({ ...call, sequence: peer.sequence + 100, ...stamped(value) });
      expect(flagsOf(peer.only())).toBe("A");
    }
    await peer.send({ ...call, sequence: peer.sequence - 100, ...stamped(1_001) });
    expect(flagsOf(peer.only())).toBe("SA");
  });

  test("destroy(error) resets, and so does destroy() before the end", async () => {
    for (const error of [new Error("enough"), undefined]) {
      const peer = new ScriptedPeer();
      const connection = await peer.open();
      connection.on("error", () => undefined);
      connection.destroy(error);
      await peer.clock.advance(0);
      expect(peer.only()).toMatchObject({ flags: rst | ack, sequence: peer.acknowledgment });
      expect(peer.stack.stats().tcp.connections).toBe(0);
    }
  });

  test("destroy() after end() resets where bytes were left unread", async () => {
    const peer = new ScriptedPeer();
    const connection = await peer.open();
    await peer.sendBytes(3);
    connection.end();
    await peer.clock.advance(0);
    peer.taken();
    connection.destroy();
    expect(flagsOf(peer.only())).toBe("RA");
  });

  test("destroy() after end() sends the rest; FIN of the peer is not waited for for ever", async () => {
    const peer = new ScriptedPeer({ tcp: { finWait2Ms: 3_000 } });
    const connection = await peer.open();
    connection.end("rest");
    connection.destroy();
    await peer.clock.advance(0);
    const last = peer.only();
    expect(Buffer.from(last.payload).toString()).toBe("rest");
    await peer.send({ acknowledgment: (last.sequence + 5) >>> 0 });
    await peer.clock.advance(2_000);
    expect(peer.taken()).toEqual([]);
    await peer.clock.advance(2_000);
    expect(flagsOf(peer.only())).toBe("RA");
    expect(peer.stack.stats().tcp.connections).toBe(0);
  });

  test("destroy() in FIN-WAIT-2 waits no longer for FIN of the peer than allowed", async () => {
    const peer = new ScriptedPeer({ tcp: { finWait2Ms: 3_000 } });
    const connection = await peer.open();
    connection.end();
    await peer.clock.advance(0);
    await peer.send({ acknowledgment: (peer.only().sequence + 1) >>> 0 });
    // Whoever still reads may wait as long as they like.
    await peer.clock.advance(10_000);
    expect(peer.stack.stats().tcp.connections).toBe(1);
    connection.destroy();
    await peer.clock.advance(3_100);
    expect(peer.taken().map(flagsOf)).toEqual(["RA"]);
    expect(peer.stack.stats().tcp.connections).toBe(0);
  });

  test("bytes for a reader who has left are answered by RST (RFC 1122 §4.2.2.13)", async () => {
    const peer = new ScriptedPeer();
    const connection = await peer.open();
    connection.end();
    connection.destroy();
    await peer.clock.advance(0);
    peer.taken();
    await peer.sendBytes(3);
    expect(peer.taken().map(flagsOf)).toContain("RA");
  });
});

describe("a silent peer", () => {
  test("is given up after the user time-out", async () => {
    const peer = new ScriptedPeer({ tcp: { userTimeoutMs: 5_000 } });
    const connection = await peer.open();
    const seen = watch(connection);
    connection.write("anybody?");
    await peer.clock.advance(4_900);
    expect(seen.closed).toBe(false);
    await peer.clock.advance(200);
    expect(seen).toEqual({ code: "timeout", closed: true });
    const sent = peer.taken().map(flagsOf);
    expect(sent.length).toBeGreaterThan(3);
    expect(sent.at(-1)).toBe("RA");
  });

  test("is asked by keep-alives, whose answers keep the connection (RFC 9293 §3.8.4)", async () => {
    const peer = new ScriptedPeer();
    const connection = await peer.open();
    const seen = watch(connection);
    connection.setKeepAlive(millis(1_000));
    await peer.clock.advance(1_100);
    const probe = peer.only();
    expect(probe.sequence).toBe(peer.acknowledgment - 1);
    await peer.send();
    await peer.clock.advance(9_500);
    expect(seen.closed).toBe(false);
    expect(peer.taken()).toHaveLength(9);
    await peer.clock.advance(1_000);
    expect(seen).toEqual({ code: "timeout", closed: true });
  });
});
