import { describe, expect, it } from "vitest";
import { millis, systemClock, TransportError, type ByteStream } from "@culvert/runtime";
import {
  memoryCarrierPair,
  readBytes,
  readPayload,
  streamOutcome,
  VirtualClock,
  waitUntil,
  within,
  writePayload,
} from "@culvert/testkit";
import { encodeFrameHeader } from "@culvert/wire";
import type { Session } from "../session.ts";
import type { CarrierHandlers } from "./carrier.ts";
import { culvertId } from "./dialect-culvert-ids.ts";
import { diallerId, tunnelAndPeer } from "./raw-peer.test-data.ts";
import { sessionPair } from "./tunnel-pair.test-data.ts";
import { MproxyTunnel } from "./tunnel.ts";

async function accepted(session: Session): Promise<ByteStream> {
  for await (const stream of session.streams) return stream;
  throw new Error("the session ended");
}

const done = { by: "us", code: "done", text: "" } as const;

describe("what goes first", () => {
  it("streams with bytes take turns, frame by frame", async () => {
    const { tunnel, peer, opened } = tunnelAndPeer({ settings: { frameBytes: 10_000 } });
    peer.carrier.pause();
    for (const number of [1, 2, 3]) peer.send("connection", diallerId(number));
    await waitUntil(() => opened.length === 3, { what: "three connections" });
    for (const { stream } of opened) stream.write(Buffer.alloc(50_000, 1));
    peer.carrier.resume();
    await peer.next("data", 15);
    const order = peer.of("data").map(({ frame }) => frame.connection.port);
    expect(order.join("")).toBe("123".repeat(5));
    tunnel.close(done);
  });

  it("a new connection, control and credit do not wait behind megabytes", async () => {
    const { tunnel, peer, opened } = tunnelAndPeer();
    peer.send("connection", diallerId(1));
    await waitUntil(() => opened[0], { what: "a connection" });
    peer.carrier.pause();
    const bulk = opened[0]!.stream;
    for (let turn = 0; turn < 30; turn += 1) bulk.write(Buffer.alloc(100_000));
    const sentAtFirst = await waitUntil(() => tunnel.stats().sentBytes, { what: "bulk" });
    // What the carrier has been given is all that goes ahead.
    expect(sentAtFirst).toBeLessThan(512 * 1024);
    const quick = tunnel.open({
      id: culvertId(false, 1),
      service: "tcp",
      servicePort: "",
      name: "",
    });
    quick.write("now");
    tunnel.control.send({ type: "notice", error: "also now" });
    peer.carrier.resume();
    const { body } = await peer.next("connection");
    expect(body.toString()).toBe("now");
    const place = peer.frames.findIndex(({ frame }) => frame.kind === "connection");
    const before = peer.frames
      .slice(0, place)
      .reduce((sum, { body: part }) => sum + part.length, 0);
    expect(before).toBeLessThanOrEqual(sentAtFirst + 100);
    expect(peer.of("control").some((sent) => sent.body.toString().includes("also now"))).toBe(true);
    tunnel.close(done);
  });

  it("small writes of one turn leave together", async () => {
    const { tunnel, peer, opened } = tunnelAndPeer();
    peer.send("connection", diallerId(1));
    await waitUntil(() => opened[0], { what: "a connection" });
    const { stream } = opened[0]!;
    stream.cork();
    for (let turn = 0; turn < 100; turn += 1) stream.write("x".repeat(turn));
    stream.uncork();
    expect((await peer.next("data")).body.length).toBe(4_950);
    expect(peer.of("data")).toHaveLength(1);
    tunnel.close(done);
  });
});

describe("credit between two of ours", () => {
  it("is given back for what was read, each quarter of the window", async () => {
    const { tunnel, peer, opened } = tunnelAndPeer({ settings: { windowBytes: 400_000 } });
    peer.send("connection", diallerId(1));
    await waitUntil(() => opened[0], { what: "a connection" });
    opened[0]!.stream.resume();
    for (let turn = 1; turn <= 10; turn += 1) {
      peer.send("data", diallerId(1), new Uint8Array(60_000));
      expect(peer.of("resume")).toHaveLength(turn - 1);
      peer.send("data", diallerId(1), new Uint8Array(40_000));
      const { body } = await peer.next("resume", turn);
      expect(body.toString()).toBe(String(turn * 100_000));
    }
    tunnel.close(done);
  });

  it("holds the sender at what the peer allows, and at its pause", async () => {
    const [near, far] = memoryCarrierPair();
    const dialler = new MproxyTunnel(
      { carrier: near, clock: systemClock },
      { dialect: "culvert-dialler" },
    );
    const listener = new MproxyTunnel(
      { carrier: far, clock: systemClock },
      { dialect: "culvert-listener", settings: { windowBytes: 1_000 } },
    );
    dialler.allowStreams(() => undefined, { sendWindowBytes: 1_000, maxStreams: 1 });
    let read = 0;
    listener.allowStreams((_meta, stream) => {
      stream.on("data", (bytes: Buffer) => (read += bytes.length));
    });
    const meta = { id: culvertId(true, 1), service: "tcp", servicePort: "", name: "" };
    const stream = dialler.open(meta);
    expect(() => dialler.open({ ...meta, id: culvertId(true, 2) })).toThrow(
      expect.objectContaining({ code: "too_many_streams" }) as Error,
    );
    await writePayload(stream, 50_000, 1);
    await waitUntil(() => read === 50_000, { what: "all of it through a small window" });
    expect(listener.stats().drops.window_exceeded).toBe(0);
    dialler.close(done);
  });
});

describe("ends of a tunnel", () => {
  it("drain waits for the last byte of an ended stream, and for the peer to have it", async () => {
    const pair = sessionPair({ settings: { windowBytes: 100_000 } });
    const stream = await pair.client.openStream();
    const far = await accepted(pair.server);
    const writing = writePayload(stream, 1_000_000, 3);
    let drained = false;
    await waitUntil(() => pair.client.stats().sentBytes === 100_000, { what: "a full window" });
    const reading = readPayload(far);
    await writing;
    const draining = pair.client.drain().then(() => (drained = true));
    await reading;
    await within(draining, { what: "drain" });
    expect(drained).toBe(true);
    expect(pair.server.stats().receivedBytes).toBe(1_000_000);
    await pair.release();
  });

  it("what had arrived is read though the peer is gone", async () => {
    const pair = sessionPair();
    const stream = await pair.client.openStream();
    stream.end("x".repeat(500_000));
    const far = await accepted(pair.server);
    await pair.client.drain();
    pair.client.close(done);
    await within(pair.server.closed, { what: "the end" });
    expect((await within(readPayload(far), { what: "the rest" })).bytes).toBe(500_000);
    await pair.release();
  });

  it("a cut path ends both, blames the network, and resets what was under way", async () => {
    const carriers = memoryCarrierPair();
    const pair = sessionPair({ carriers });
    const stream = await pair.client.openStream();
    stream.write("half");
    const far = await accepted(pair.server);
    await readBytes(far, 4);
    const outcomes = [streamOutcome(stream), streamOutcome(far)];
    carriers[0].cut();
    for (const session of [pair.client, pair.server]) {
      expect(await within(session.closed, { what: "the end" })).toMatchObject({ by: "network" });
    }
    for (const { ended, error } of await Promise.all(outcomes)) {
      expect(ended).toBe(false);
      expect(error).toBeInstanceOf(TransportError);
    }
  });

  it("a handler that throws ends the tunnel, and nothing else", async () => {
    const { tunnel, peer } = tunnelAndPeer();
    tunnel.control.on(() => {
      throw new Error("a defect");
    });
    peer.control({ type: "command", id: 1, command: "x", args: [] });
    const reason = await within(tunnel.closed, { what: "the end" });
    expect(reason).toMatchObject({ by: "us", code: "internal_error", text: "a defect" });
  });
});

describe("signs of life", () => {
  const settings = { keepAlive: millis(1_000), idleTimeout: millis(8_000) };

  it("a silent peer is dead after the idle time, and was asked before", async () => {
    const clock = new VirtualClock();
    const { tunnel, peer } = tunnelAndPeer({ clock, settings });
    await clock.advance(7_900);
    expect(peer.of("control").length).toBeGreaterThanOrEqual(7);
    await clock.advance(200);
    expect(await tunnel.closed).toMatchObject({ by: "timeout", code: "idle" });
    expect(clock.pendingTimers).toBe(0);
  });

  it("two silent ends keep each other alive, and measure the way", async () => {
    const clock = new VirtualClock();
    const pair = sessionPair({ clock, settings });
    await clock.advance(60_000);
    expect(pair.client.stats().rttMs).toBeGreaterThanOrEqual(0);
    let over = false;
    void pair.client.closed.then(() => (over = true));
    void pair.server.closed.then(() => (over = true));
    await clock.advance(60_000);
    expect(over).toBe(false);
    await pair.release();
    expect(clock.pendingTimers).toBe(0);
  });

  it("an end that only receives says so, since its answers may wait behind what it receives", async () => {
    const clock = new VirtualClock();
    const { tunnel, peer, opened } = tunnelAndPeer({ clock, settings });
    peer.send("connection", diallerId(1));
    await clock.advance(1);
    opened[0]!.stream.resume();
    const before = peer.of("control").length;
    for (let turn = 0; turn < 100; turn += 1) {
      peer.send("data", diallerId(1), "x");
      await clock.advance(100);
    }
    const pings = peer.of("control").slice(before);
    expect(pings.length).toBeGreaterThanOrEqual(9);
    expect(pings.length).toBeLessThanOrEqual(11);
    tunnel.close(done);
  });

  it("a peer that never answers costs no memory: signs of life go on without questions", async () => {
    const clock = new VirtualClock();
    const { tunnel, peer } = tunnelAndPeer({ clock, settings });
    for (let turn = 0; turn < 60; turn += 1) {
      peer.control({ type: "notice", error: null });
      await clock.advance(1_000);
    }
    const sent = peer.of("control").map(({ body }) => body.toString());
    expect(sent.filter((text) => text.includes("ping"))).toHaveLength(16);
    expect(sent.filter((text) => text === "[0,null]").length).toBeGreaterThan(40);
    tunnel.close(done);
    expect(await tunnel.closed).toMatchObject({ code: "done" });
  });

  it("silence counts for nothing while we take nothing from the carrier", async () => {
    const clock = new VirtualClock();
    const { tunnel, peer, opened } = tunnelAndPeer({
      clock,
      settings: { ...settings, maxUnreadBytesOverAll: 100_000 },
    });
    peer.send("connection", diallerId(1), new Uint8Array(300_000));
    await clock.advance(60_000);
    expect(tunnel.stats().unreadBytes).toBeGreaterThan(100_000);
    let over = false;
    void tunnel.closed.then(() => (over = true));
    await clock.advance(1);
    expect(over).toBe(false);
    opened[0]!.stream.resume();
    await clock.advance(7_000);
    expect(over).toBe(false);
    await clock.advance(2_000);
    expect(over).toBe(true);
  });
});

it("a few bytes that wait for their reader keep no large chunk alive", () => {
  let carried: CarrierHandlers | undefined;
  const carrier = {
    ...{ kind: "memory" as const, remote: "x", bufferedBytes: 0 },
    write: () => true,
    start: (handlers: CarrierHandlers) => (carried = handlers),
    pause: () => undefined,
    resume: () => undefined,
    close: () => undefined,
    channelBinding: () => undefined,
  };
  const tunnel = new MproxyTunnel({ carrier, clock: systemClock }, { dialect: "culvert-listener" });
  const streams: ByteStream[] = [];
  tunnel.allowStreams((_meta, stream) => void streams.push(stream));
  const rest = { service: "tcp", servicePort: "", name: "", connection: diallerId(1) };
  const frames = Buffer.concat([
    encodeFrameHeader({ kind: "connection", ...rest, length: 0 }),
    ...[1, 2].flatMap(() => [
      encodeFrameHeader({ kind: "data", ...rest, length: 3 }),
      Buffer.from("few"),
    ]),
  ]);
  // Memory as a socket gives it.
  const chunk = Buffer.alloc(64 * 1024);
  frames.copy(chunk);
  carried?.data(chunk.subarray(0, frames.length));
  const first = streams[0]?.read(3) as Buffer;
  const second = streams[0]?.read(3) as Buffer;
  expect([String(first), String(second)]).toEqual(["few", "few"]);
  for (const { buffer } of [first, second]) expect(buffer.byteLength).toBeLessThan(chunk.length);
  tunnel.close(done);
});
