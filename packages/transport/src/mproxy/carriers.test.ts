import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import { connect as connectNet, createServer, type AddressInfo, type Socket } from "node:net";
import { Duplex, PassThrough } from "node:stream";
import { connect as connectTls, createServer as createTlsServer, type TLSSocket } from "node:tls";
import { systemClock, type Clock, type CloseReason } from "@culvert/runtime";
import { seededRandom, VirtualClock, waitUntil, within } from "@culvert/testkit";
import { afterEach, describe, expect, test } from "vitest";
import { WebSocket, WebSocketServer, type ClientOptions } from "ws";
import { carrierDefaults } from "./carrier-defaults.ts";
import type { Carrier } from "./carrier.ts";
import { channelBindingOf } from "./channel-binding.ts";
import { StreamCarrier } from "./stream-carrier.ts";
import { certificateFor } from "./tls-proxy.test-data.ts";
import { UpgradedWebSocket } from "./upgraded-web-socket.ts";
import { WebSocketCarrier } from "./web-socket-carrier.ts";

const opened: { close(): Promise<void> | void }[] = [];

afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await one.close();
});

/** What a carrier has told. */
class Told {
  readonly chunks: Uint8Array[] = [];
  drains = 0;
  signsOfLife = 0;
  closed: CloseReason | undefined;

  constructor(carrier: Carrier) {
    carrier.start({
      data: (bytes) => this.chunks.push(bytes),
      drain: () => (this.drains += 1),
      alive: () => (this.signsOfLife += 1),
      closed: (reason) => {
        expect(this.closed).toBeUndefined();
        this.closed = reason;
      },
    });
  }

  get bytes(): Buffer {
    return Buffer.concat(this.chunks);
  }

  async end(): Promise<CloseReason> {
    await waitUntil(() => this.closed !== undefined, { what: "the end" });
    return this.closed!;
  }
}

interface Sockets {
  readonly near: Socket;
  readonly far: Socket;
}

/** Two ends of a TCP connection. */
async function sockets(): Promise<Sockets> {
  const server = createServer({ pauseOnConnect: true });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const near = connectNet((server.address() as AddressInfo).port, "127.0.0.1");
  const [far] = (await once(server, "connection")) as [Socket];
  server.close();
  for (const socket of [near, far]) {
    socket.on("error", () => undefined);
    opened.push({ close: () => void socket.destroy() });
  }
  return { near, far };
}

interface Pair {
  readonly near: Carrier;
  readonly far: Carrier;
  /** Under the far carrier. */
  readonly socket: Socket;
}

async function streamPair(clock: Clock = systemClock): Promise<Pair> {
  const { near, far } = await sockets();
  const carrier = (socket: Socket): Carrier =>
    new StreamCarrier(
      { readable: socket, writable: socket },
      { clock, kind: "stdio", remote: "x" },
    );
  return { near: carrier(near), far: carrier(far), socket: far };
}

async function webSocketPair(clock: Clock = systemClock): Promise<Pair> {
  const { dialled, accepted, far } = await webSockets(UpgradedWebSocket, UpgradedWebSocket);
  return {
    near: new WebSocketCarrier(dialled, { clock, remote: "x" }),
    far: new WebSocketCarrier(accepted, { clock, remote: "x" }),
    socket: far,
  };
}

/** Both ends of a WebSocket, each of the class given, and the sockets under them. */
async function webSockets<Dialled extends typeof WebSocket, Accepted extends typeof WebSocket>(
  Dialled: Dialled,
  Accepted: Accepted,
  options: ClientOptions = {},
): Promise<Sockets & { dialled: InstanceType<Dialled>; accepted: InstanceType<Accepted> }> {
  const webSocketServer = new WebSocketServer({
    noServer: true,
    maxPayload: 1024 * 1024,
    WebSocket: Accepted,
  });
  const http = createHttpServer();
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  const accepting = new Promise<{ accepted: InstanceType<Accepted>; far: Socket }>((resolve) => {
    http.on("upgrade", (request, socket, head) => {
      webSocketServer.handleUpgrade(request, socket, head, (accepted) =>
        resolve({ accepted, far: request.socket }),
      );
    });
  });
  const near = connectNet((http.address() as AddressInfo).port, "127.0.0.1");
  const dialled = new Dialled("ws://127.0.0.1/", {
    maxPayload: 1024 * 1024,
    ...options,
    createConnection: () => near,
  }) as InstanceType<Dialled>;
  const [{ accepted, far }] = await Promise.all([accepting, once(dialled, "open")]);
  http.close();
  for (const socket of [near, far]) {
    socket.on("error", () => undefined);
    opened.push({ close: () => void socket.destroy() });
  }
  for (const one of [dialled, accepted]) one.on("error", () => undefined);
  return { dialled, accepted, near, far };
}

/** A carrier of ours and a WebSocket of `ws` at its other end. */
interface CarrierAndReal {
  readonly carrier: WebSocketCarrier;
  readonly real: WebSocket;
  /** Under `real`. */
  readonly socket: Socket;
}

async function acceptedByUs(options?: ClientOptions): Promise<CarrierAndReal> {
  const { dialled, accepted, near } = await webSockets(WebSocket, UpgradedWebSocket, options);
  const carrier = new WebSocketCarrier(accepted, { clock: systemClock, remote: "x" });
  return { carrier, real: dialled, socket: near };
}

async function dialledByUs(options?: ClientOptions): Promise<CarrierAndReal> {
  const { dialled, accepted, far } = await webSockets(UpgradedWebSocket, WebSocket, options);
  const carrier = new WebSocketCarrier(dialled, { clock: systemClock, remote: "x" });
  return { carrier, real: accepted, socket: far };
}

const noMask = { generateMask: (mask: Buffer) => void mask.fill(0) };

const enough = { by: "us", code: "enough", text: "that will do" } as const;

describe.each<[string, (clock?: Clock) => Promise<Pair>]>([
  ["a stream", streamPair],
  ["a WebSocket", webSocketPair],
])("%s as a carrier", (_what, pair) => {
  test("carries bytes both ways, in order, whatever their pieces", async () => {
    const { near, far } = await pair();
    const [left, right] = [new Told(near), new Told(far)];
    for (let index = 0; index < 100; index += 1) {
      near.write([Buffer.from(`${index},`), Buffer.alloc(0), Buffer.from("x".repeat(index))]);
      far.write([Buffer.from(`${index};`)]);
    }
    const up = Array.from({ length: 100 }, (_, index) => `${index},${"x".repeat(index)}`).join("");
    const down = Array.from({ length: 100 }, (_, index) => `${index};`).join("");
    await waitUntil(() => right.bytes.length >= up.length, { what: "bytes up" });
    await waitUntil(() => left.bytes.length >= down.length, { what: "bytes down" });
    expect([String(right.bytes), String(left.bytes)]).toEqual([up, down]);
  });

  test("says when it has enough, and when it wants more", async () => {
    const { near, far } = await pair();
    const told = new Told(near);
    const chunk = Buffer.alloc(256 * 1024, 7);
    let written = 0;
    while (near.write([chunk])) {
      written += chunk.length;
      expect(written).toBeLessThan(64 * 1024 * 1024);
      // A turn, in which the system takes what it will.
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(near.bufferedBytes).toBeGreaterThanOrEqual(carrierDefaults.highWaterBytes);
    expect(told.drains).toBe(0);
    new Told(far);
    await waitUntil(() => told.drains === 1, { what: "the drain" });
    expect(near.bufferedBytes).toBeLessThanOrEqual(carrierDefaults.lowWaterBytes);
    expect(near.write([Buffer.from("x")])).toBe(true);
  });

  test("delivers nothing before it is started, nor while it is paused for long", async () => {
    const { near, far } = await pair();
    new Told(near);
    near.write([Buffer.from("early")]);
    const told = new Told(far);
    await waitUntil(() => told.bytes.length === 5, { what: "what came early" });
    far.pause();
    const chunk = Buffer.alloc(64 * 1024);
    while (near.write([chunk])) await new Promise((resolve) => setImmediate(resolve));
    // What is under way may come, which is not everything: the writer was held.
    const during = told.bytes.length;
    expect(near.bufferedBytes).toBeGreaterThan(0);
    far.resume();
    await waitUntil(() => told.bytes.length > during && near.bufferedBytes === 0, {
      what: "the rest",
    });
  });

  test("what was written arrives though it is closed right after", async () => {
    const { near, far } = await pair();
    const [left, right] = [new Told(near), new Told(far)];
    near.write([Buffer.alloc(1_000_000, 5)]);
    near.close(enough);
    near.close({ by: "us", code: "later", text: "the first reason stands" });
    near.write([Buffer.from("too late")]);
    expect(await right.end()).toMatchObject({ by: "peer-app", code: "closed" });
    expect(right.bytes).toHaveLength(1_000_000);
    expect(await left.end()).toEqual(enough);
  });

  test("a peer that does not read holds up no end", async () => {
    const clock = new VirtualClock();
    const { near, socket } = await pair(clock);
    socket.pause();
    const told = new Told(near);
    const chunk = Buffer.alloc(64 * 1024);
    while (near.write([chunk])) await new Promise((resolve) => setImmediate(resolve));
    near.close(enough);
    await clock.advance(carrierDefaults.closeTimeout - 1);
    expect(told.closed).toBeUndefined();
    await clock.advance(1);
    expect(await told.end()).toEqual(enough);
    expect(clock.pendingTimers).toBe(0);
  });

  test("a reset is the network's doing", async () => {
    const { near, socket } = await pair();
    const told = new Told(near);
    socket.resetAndDestroy();
    expect(await told.end()).toMatchObject({ by: "network" });
  });

  test("an end before the start is told at the start", async () => {
    const { near, far } = await pair();
    new Told(far);
    far.close(enough);
    near.close(enough);
    const late = new Told(near);
    expect(await late.end()).toEqual(enough);
  });
});

describe.each<[string, () => Promise<CarrierAndReal>]>([
  ["accepted", () => acceptedByUs()],
  ["accepted, its peer's masks nought,", () => acceptedByUs(noMask)],
  ["dialled", () => dialledByUs()],
  ["dialled, our masks nought,", () => dialledByUs(noMask)],
])("a WebSocket %s with a peer of another make", (_how, connect) => {
  test("carries bytes both ways, whatever the messages", async () => {
    const { carrier, real } = await connect();
    const told = new Told(carrier);
    const got: Buffer[] = [];
    real.on("message", (message: Buffer) => got.push(message));
    const lengths = [0, 1, 125, 126, 127, 4_095, 65_535, 65_536, 65_537, 200_000, 1_000_000];
    const messages = lengths.map((length) => Buffer.from(seededRandom(length).bytes(length)));
    for (const message of messages) {
      carrier.write([message.subarray(0, 10), message.subarray(10)]);
      real.send(message, { binary: true });
      real.send(message.subarray(0, message.length / 2), { binary: true, fin: false });
      real.send(message.subarray(message.length / 2), { binary: true, fin: true });
    }
    const all = Buffer.concat(messages);
    await waitUntil(() => Buffer.concat(got).length >= all.length, { what: "what we sent" });
    await waitUntil(() => told.bytes.length >= 2 * all.length, { what: "what the peer sent" });
    expect(Buffer.concat(got).equals(all)).toBe(true);
    expect(told.bytes.equals(Buffer.concat(messages.flatMap((one) => [one, one])))).toBe(true);
  });

  test("leaves the memory of what was written as it was", async () => {
    const { carrier, real } = await connect();
    new Told(carrier);
    const chunk = Buffer.alloc(100_000, 3);
    const sent = new Promise<void>((resolve) => carrier.write([chunk], resolve));
    const [message] = (await within(once(real, "message"), { what: "a message" })) as [Buffer];
    expect(message[0]).toBe(3);
    await within(sent, { what: "that it was sent" });
    expect(chunk.equals(Buffer.alloc(100_000, 3))).toBe(true);
  });

  test.each([
    [1000, { by: "peer-app", code: "closed", text: "why" }],
    [1001, { by: "peer-app", code: "closed", text: "why" }],
    [1002, { by: "peer-stack", code: "websocket_1002", text: "why" }],
    [1009, { by: "peer-stack", code: "websocket_1009", text: "why" }],
    [4000, { by: "peer-app", code: "websocket_4000", text: "why" }],
  ])("closed by the peer with %s, which is said back", async (code, reason) => {
    const { carrier, real } = await connect();
    const told = new Told(carrier);
    const closed = once(real, "close");
    real.close(code, "why");
    expect(await told.end()).toEqual(reason);
    const [saidBack, text] = (await within(closed, { what: "the close" })) as [number, Buffer];
    expect([saidBack, String(text)]).toEqual([code, "why"]);
  });

  test("closed by the peer without a code", async () => {
    const { carrier, real } = await connect();
    const told = new Told(carrier);
    const closed = once(real, "close");
    real.close();
    expect(await told.end()).toEqual({ by: "peer-app", code: "websocket_1005", text: "" });
    expect((await within(closed, { what: "the close" }))[0]).toBe(1005);
  });

  test("what the peer sent before its close arrives, and nothing is sent after it", async () => {
    const { carrier, real } = await connect();
    const told = new Told(carrier);
    real.send(Buffer.alloc(300_000, 1));
    real.close(1000, "done");
    expect(await told.end()).toMatchObject({ code: "closed" });
    expect(told.bytes).toHaveLength(300_000);
    expect(carrier.write([Buffer.from("x")])).toBe(true);
    expect(carrier.bufferedBytes).toBe(0);
  });

  test("the reason is cut to what a close frame holds, at a whole character", async () => {
    const { carrier, real } = await connect();
    new Told(carrier);
    const closed = once(real, "close");
    carrier.close({ by: "us", code: "protocol_error", text: "𝄞".repeat(100) });
    const [code, text] = (await within(closed, { what: "the close" })) as [number, Buffer];
    expect(code).toBe(1002);
    expect(String(text)).toBe("𝄞".repeat(30));
  });

  test("much at once goes in messages that every peer takes", async () => {
    const { carrier, real } = await connect();
    new Told(carrier);
    const lengths: number[] = [];
    real.on("message", (message: Buffer) => lengths.push(message.length));
    let sent = 0;
    carrier.write([Buffer.alloc(150_000, 1), Buffer.alloc(65_536, 2)], () => (sent += 1));
    expect(sent).toBe(0);
    await waitUntil(() => lengths.length === 4, { what: "the messages" });
    expect(lengths).toEqual([65_536, 65_536, 150_000 - 2 * 65_536, 65_536]);
    await waitUntil(() => sent === 1, { what: "that it was sent" });
  });

  test("a ping within a message is answered with what it held", async () => {
    const { carrier, real } = await connect();
    const told = new Told(carrier);
    const answer = once(real, "pong");
    real.send(Buffer.from("one"), { binary: true, fin: false });
    real.ping("of life");
    real.send(Buffer.from("two"), { binary: true, fin: true });
    expect(String((await within(answer, { what: "the pong" }))[0])).toBe("of life");
    await waitUntil(() => told.bytes.length === 6, { what: "the message" });
    expect(String(told.bytes)).toBe("onetwo");
    expect(told.signsOfLife).toBe(1);
  });

  test("our ping is answered, which is a sign of life", async () => {
    const { carrier } = await connect();
    const told = new Told(carrier);
    let answers = 0;
    carrier.ping(() => (answers += 1));
    carrier.ping();
    await waitUntil(() => answers === 1 && told.signsOfLife >= 1, { what: "the pong" });
  });

  test("part of a message is a sign of life, and none of the tunnel's bytes yet", async () => {
    const { carrier, socket, real } = await connect();
    const told = new Told(carrier);
    // A header that announces 1,000 bytes; whoever dialled masks.
    const dialled = (real.url as string | undefined) !== undefined;
    const header = dialled ? [0x82, 0xfe, 3, 0xe8, 0, 0, 0, 0] : [0x82, 126, 3, 0xe8];
    socket.write(Buffer.concat([Buffer.from(header), Buffer.alloc(999)]));
    await waitUntil(() => told.signsOfLife > 0, { what: "the sign of life" });
    expect(told.chunks).toEqual([]);
    socket.write(Buffer.alloc(1));
    await waitUntil(() => told.bytes.length === 1_000, { what: "the message" });
  });

  test("text is refused with 1003", async () => {
    const { carrier, real } = await connect();
    const told = new Told(carrier);
    const closed = once(real, "close");
    real.send("text");
    expect(await told.end()).toMatchObject({ by: "peer-stack", code: "text_message" });
    expect((await within(closed, { what: "the close" }))[0]).toBe(1003);
  });

  test("a message above the limit is refused with 1009", async () => {
    const { carrier, real } = await connect();
    const told = new Told(carrier);
    const closed = once(real, "close");
    real.send(Buffer.alloc(1024 * 1024 + 1));
    expect(await told.end()).toMatchObject({ by: "peer-stack", code: "websocket_protocol" });
    expect((await within(closed, { what: "the close" }))[0]).toBe(1009);
    expect(told.chunks).toEqual([]);
  });

  test("a frame that breaks the protocol is the peer's stack's fault, and it hears 1002", async () => {
    const { carrier, socket, real } = await connect();
    const told = new Told(carrier);
    const closed = once(real, "close");
    // An opcode that is nobody's.
    socket.write(Uint8Array.of(0x83, 0x00));
    expect(await told.end()).toMatchObject({ by: "peer-stack", code: "websocket_protocol" });
    expect((await within(closed, { what: "the close" }))[0]).toBe(1002);
  });

  test("an end without a close frame is a cut", async () => {
    const { carrier, socket } = await connect();
    const told = new Told(carrier);
    socket.end();
    expect(await told.end()).toEqual({ by: "network", code: "cut", text: "the WebSocket was cut" });
  });

  test("a peer that pings and does not read makes us keep one answer", async () => {
    const { carrier, real, socket } = await connect();
    const told = new Told(carrier);
    real.pause();
    socket.pause();
    const chunk = Buffer.alloc(64 * 1024);
    while (carrier.write([chunk])) await new Promise((resolve) => setImmediate(resolve));
    const before = carrier.bufferedBytes;
    for (let turn = 0; turn < 200; turn += 1) real.ping(Buffer.alloc(125, turn));
    await waitUntil(() => told.signsOfLife === 200, { what: "the pings" });
    expect(carrier.bufferedBytes).toBeLessThanOrEqual(before);
    const answers: Buffer[] = [];
    real.on("pong", (payload: Buffer) => answers.push(payload));
    real.resume();
    await waitUntil(() => answers.length > 0, { what: "an answer" });
    expect(answers.length).toBeLessThan(5);
    expect(answers.at(-1)).toEqual(Buffer.alloc(125, 199));
  });
});

describe("two halves as a carrier", () => {
  test("the end of what is read ends it, also what is written", async () => {
    const [readable, writable] = [new PassThrough(), new PassThrough()];
    const told = new Told(
      new StreamCarrier({ readable, writable }, { clock: systemClock, kind: "stdio", remote: "x" }),
    );
    readable.end("last");
    expect(await told.end()).toMatchObject({ by: "peer-app", code: "closed" });
    expect(String(told.bytes)).toBe("last");
    expect(writable.destroyed).toBe(true);
  });

  test("a broken pipe ends it", async () => {
    const readable = new PassThrough();
    const writable = new Duplex({
      read: () => undefined,
      write: (_chunk, _encoding, callback) =>
        callback(Object.assign(new Error("gone"), { code: "EPIPE" })),
    });
    const carrier = new StreamCarrier(
      { readable, writable },
      { clock: systemClock, kind: "stdio", remote: "x" },
    );
    const told = new Told(carrier);
    carrier.write([Buffer.from("x")]);
    expect(await told.end()).toEqual({ by: "network", code: "epipe", text: "gone" });
    expect(readable.destroyed).toBe(true);
  });
});

describe("the binding to a channel", () => {
  async function secured(version: "TLSv1.2" | "TLSv1.3"): Promise<[TLSSocket, TLSSocket]> {
    const { cert, key } = await certificateFor("127.0.0.1");
    const server = createTlsServer({ cert, key, maxVersion: version });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const near = connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false });
    const [[far]] = (await Promise.all([
      once(server, "secureConnection"),
      once(near, "secureConnect"),
    ])) as [[TLSSocket], unknown];
    server.close();
    for (const socket of [near, far]) opened.push({ close: () => void socket.destroy() });
    return [near, far];
  }

  test("is the same at both ends of TLS 1.3, and another for each connection", async () => {
    const [near, far] = await secured("TLSv1.3");
    const [other] = await secured("TLSv1.3");
    expect(channelBindingOf(near)).toHaveLength(32);
    expect(channelBindingOf(near)).toEqual(channelBindingOf(far));
    expect(channelBindingOf(near)).not.toEqual(channelBindingOf(other));
    const ends = { readable: near, writable: near };
    const carrier = new StreamCarrier(ends, { clock: systemClock, kind: "tls", remote: "x" });
    expect(carrier.channelBinding()).toEqual(channelBindingOf(near));
  });

  test("there is none with TLS 1.2, without TLS, nor after its end", async () => {
    const [old] = await secured("TLSv1.2");
    expect(channelBindingOf(old)).toBeUndefined();
    const { near } = await sockets();
    expect(channelBindingOf(near)).toBeUndefined();
    const [ended] = await secured("TLSv1.3");
    ended.destroy();
    expect(channelBindingOf(ended)).toBeUndefined();
  });
});
