import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { once } from "node:events";
import { afterEach, expect, test } from "vitest";
import { generateIdentity } from "@culvert/identity";
import { Scope, systemClock, systemRandom, type CloseReason } from "@culvert/runtime";
import {
  readBytes,
  readPayload,
  seededRandom,
  waitUntil,
  within,
  writePayload,
} from "@culvert/testkit";
import {
  createQuicheEngine,
  quicDefaults,
  type QuicConnection,
  type QuicListener,
  type QuicStream,
  type UdpAddress,
} from "../index.ts";
import { newPathBurst } from "./peer-paths.ts";

const identity = generateIdentity();
const deps = { clock: systemClock, random: systemRandom, warn: () => undefined };
const engine = createQuicheEngine(deps);
let scope = new Scope();

afterEach(async () => {
  await scope.close();
  scope = new Scope();
});

/** A network address translator for one client: forwards both ways, may lose some, and can change its outer port or its target. */
class Translator {
  lossRate = 0;
  /** Which of the client's datagrams to lose, beside those by chance. */
  loses: (datagram: Buffer) => boolean = () => false;
  /** Nothing gets back to the client. */
  losesAnswers = false;
  readonly #random = seededRandom(7);
  readonly address: UdpAddress;
  target: UdpAddress;
  forwarded = 0;
  #outer: Socket;
  #inner: Socket;
  #client: RemoteInfo | undefined;

  private constructor(inner: Socket, outer: Socket, target: UdpAddress) {
    this.#inner = inner;
    this.#outer = outer;
    this.target = target;
    this.address = { host: "127.0.0.1", port: inner.address().port };
    this.#listenInside();
    this.#listen(outer);
  }

  static async open(target: UdpAddress): Promise<Translator> {
    const translator = new Translator(await boundSocket(), await boundSocket(), target);
    scope.add(() => translator.close());
    return translator;
  }

  get outerPort(): number {
    return this.#outer.address().port;
  }

  /** Closes the port that the client sends to, and opens it again when `meanwhile` is over. */
  async closeFor(meanwhile: () => Promise<unknown>): Promise<void> {
    this.#client = undefined;
    this.#inner.close();
    await meanwhile();
    this.#inner = await boundSocket(this.address.port);
    this.#listenInside();
  }

  /** Forgets the client's outer port: it has another from now on, and the old one is dead. */
  async rebind(): Promise<void> {
    const before = this.#outer;
    this.#outer = await boundSocket();
    this.#listen(this.#outer);
    before.close();
  }

  close(): void {
    this.#inner.close();
    this.#outer.close();
  }

  #listenInside(): void {
    this.#inner.on("message", (datagram, from) => {
      this.#client = from;
      this.forwarded += 1;
      if (this.#random.fraction() < this.lossRate || this.loses(datagram)) return;
      this.#outer.send(datagram, this.target.port, this.target.host);
    });
  }

  #listen(outer: Socket): void {
    outer.on("message", (datagram) => {
      const client = this.#client;
      if (this.#random.fraction() < this.lossRate || this.losesAnswers) return;
      if (client !== undefined) this.#inner.send(datagram, client.port, client.address);
    });
  }
}

async function boundSocket(port = 0): Promise<Socket> {
  const socket = createSocket("udp4");
  socket.bind(port, "127.0.0.1");
  await once(socket, "listening");
  socket.setRecvBufferSize(4 * 1024 * 1024);
  return socket;
}

async function listen(port = 0): Promise<QuicListener> {
  // An engine of its own, like another process.
  const listener = await createQuicheEngine(deps).listen({
    address: { host: "127.0.0.1", port },
    identity,
    settings: quicDefaults,
  });
  scope.add(() => listener.close());
  return listener;
}

async function connect(): Promise<{
  listener: QuicListener;
  translator: Translator;
  client: QuicConnection;
  server: QuicConnection;
  near: QuicStream;
  far: QuicStream;
}> {
  const listener = await listen();
  const translator = await Translator.open(listener.address);
  const client = await engine.dial({
    address: translator.address,
    identity: generateIdentity(),
    expectedPeer: identity.peerId,
    settings: quicDefaults,
  });
  const over: CloseReason = { by: "us", code: "over", text: "the test is over" };
  scope.add(() => client.close(over));
  const accepted = await within(listener.connections[Symbol.asyncIterator]().next(), {
    what: "the connection",
  });
  if (accepted.done === true) throw new Error("the listener ended");
  const near = await client.openStream();
  near.write("!");
  const taken = await within(accepted.value.streams[Symbol.asyncIterator]().next(), {
    what: "the stream",
  });
  if (taken.done === true) throw new Error("the connection ended");
  await readBytes(taken.value, 1);
  return { listener, translator, client, server: accepted.value, near, far: taken.value };
}

for (const direction of ["up", "down"] as const) {
  test(`a transfer ${direction} survives that the client's port changes under it, twice`, async () => {
    const { translator, client, server, near, far } = await connect();
    const [writer, reader] = direction === "up" ? [near, far] : [far, near];
    const bytes = 24 * 1024 * 1024;
    const transfer = Promise.all([writePayload(writer, bytes, 5), readPayload(reader)]);
    for (const part of [1, 2]) {
      const before = server.remote;
      const progress = part * 6 * 1024 * 1024;
      await waitUntil(() => server.stats().receivedBytes + server.stats().sentBytes > progress, {
        what: "some of the transfer",
      });
      await translator.rebind();
      await waitUntil(() => server.remote.port === translator.outerPort, {
        what: "the server to follow",
      });
      expect(server.remote).not.toEqual(before);
    }
    const [sent, got] = await within(transfer, { limitMs: 15_000, what: "the transfer" });
    expect(got).toEqual(sent);
    expect(client.remote).toEqual(translator.address);
  });
}

test("an idle connection survives more changes of the port than its burst allows at once", async () => {
  const { translator, server, near, far } = await connect();
  far.pipe(far);
  for (let change = 0; change < newPathBurst + 2; change += 1) {
    await translator.rebind();
    near.write("still there?");
    const echo = await within(readBytes(near, 12), { limitMs: 8_000, what: "the echo" });
    expect(echo.toString()).toBe("still there?");
    await waitUntil(() => server.remote.port === translator.outerPort, {
      what: "the server to follow",
    });
  }
});

test("a client whose port changed is sent to at the new one before that is proved to be its", async () => {
  const { translator, server, near, far } = await connect();
  translator.losesAnswers = true;
  await translator.rebind();
  near.write("I am here now");
  await within(readBytes(far, 13), { what: "the client's bytes" });
  await waitUntil(() => server.remote.port === translator.outerPort, {
    what: "the server to follow",
  });
  translator.losesAnswers = false;
  far.write("so I see");
  const answer = await within(readBytes(near, 8), { limitMs: 8_000, what: "the answer" });
  expect(answer.toString()).toBe("so I see");
});

test("a daemon that was started anew tells a peer of a connection it does not know", async () => {
  const { listener, translator, client } = await connect();
  // It had no time for last words.
  translator.lossRate = 1;
  await listener.close();
  await listen(listener.address.port);
  translator.lossRate = 0;
  const reason = await within(client.closed, { what: "the end of the connection" });
  expect(reason).toMatchObject({ by: "peer-stack", code: "stateless_reset" });
});

test("that a port is closed for a moment, or somebody says so, ends no connection", async () => {
  const { translator, client, near, far } = await connect();
  far.pipe(far);
  const ended = new AbortController();
  void client.closed.then(() => ended.abort());
  await translator.closeFor(async () => {
    const before = client.stats().sentDatagrams;
    // The second one finds the answer of the kernel to the first.
    near.write("is ");
    await waitUntil(() => client.stats().sentDatagrams > before, { what: "the first datagram" });
    near.write("anybody ");
    await waitUntil(() => client.stats().sentDatagrams > before + 1, { what: "the second" });
  });
  near.write("there?");
  const echo = await within(readBytes(near, 17), { limitMs: 8_000, what: "the echo" });
  expect(echo.toString()).toBe("is anybody there?");
  expect(ended.signal.aborted).toBe(false);
});

test("a port that stays closed ends the connection long before its idle time-out", async () => {
  const { translator, client, near } = await connect();
  await translator.closeFor(async () => {
    near.write("!");
    const reason = await within(client.closed, { limitMs: 4_000, what: "the end" });
    expect(reason).toMatchObject({ by: "network", code: "refused" });
  });
});

test("a stop that comes with the stream's first bytes is noticed, though nothing more is heard", async () => {
  const { translator, client, server } = await connect();
  let heardLast = false;
  translator.loses = (datagram) => {
    const lost = heardLast;
    heardLast ||= datagram.length > 500;
    return lost;
  };
  const near = await client.openStream();
  near.write(Buffer.alloc(600));
  near.stopReceiving(5);
  const taken = await within(server.streams[Symbol.asyncIterator]().next(), {
    what: "the stream",
  });
  const stop = once(taken.value as QuicStream, "peerreset");
  expect(await within(stop, { limitMs: 3_000, what: "the stop" })).toEqual([
    { direction: "sending", code: 5 },
  ]);
});

test("an end arrives although it and its first copy are lost, and what went before it is acknowledged", async () => {
  const { translator, near, far } = await connect();
  far.resume().end();
  await within(readPayload(near), { what: "the other end" });
  let small: number | undefined;
  translator.loses = (datagram) => {
    if (datagram.length > 500) small ??= 0;
    else if (small !== undefined) small += 1;
    return small === 1 || small === 2;
  };
  near.write(Buffer.alloc(600), () => near.end());
  await within(once(far, "end"), { limitMs: 3_000, what: "the end" });
});

test("on a path that loses datagrams every byte and every end arrives, whoever ends first", async () => {
  const { translator, client, server } = await connect();
  translator.lossRate = 0.03;
  // Three kinds of servers: one echoes, one answers after the end, one talks first and ends when it likes.
  void (async () => {
    for await (const stream of server.streams) {
      const kind = (stream.streamId / 4) % 3;
      if (kind === 0) {
        stream.pipe(stream);
        continue;
      }
      stream.resume();
      if (kind === 1) stream.once("end", () => stream.end("answer"));
      else stream.write("answer", () => stream.end());
    }
  })();
  const talk = async (index: number): Promise<string> => {
    const stream = await client.openStream();
    const bytes = 1 + ((index * 331) % 5_000);
    const [sent, got] = await Promise.all([
      writePayload(stream, bytes, index),
      readPayload(stream),
    ]);
    return (stream.streamId / 4) % 3 === 0 ? `${got.sha256 === sent.sha256}` : `${got.bytes} bytes`;
  };
  const lane = async (number: number): Promise<string[]> => {
    const results = [];
    for (let index = 0; index < 15; index += 1) results.push(await talk(number * 100 + index));
    return results;
  };
  const lanes = Promise.all(Array.from({ length: 20 }, (_, number) => lane(number)));
  const results = (await within(lanes, { limitMs: 17_000, what: "300 streams" })).flat();
  expect(new Set(results)).toEqual(new Set(["true", "6 bytes"]));
  expect(client.stats().lostDatagrams).toBeGreaterThan(0);
  await waitUntil(() => client.stats().openStreams <= 1 && server.stats().openStreams <= 1, {
    what: "only the first stream to be left",
  });
});

for (const kind of ["a transfer", "small talk"] as const) {
  test(`${kind} on a path that loses datagrams does not take the path for a long one`, async () => {
    const { translator, client, server, near, far } = await connect();
    translator.lossRate = 0.05;
    if (kind === "a transfer") {
      const transfer = Promise.all([writePayload(near, 6 * 1024 * 1024, 6), readPayload(far)]);
      const [sent, got] = await within(transfer, { limitMs: 17_000, what: "the transfer" });
      expect(got).toEqual(sent);
    } else {
      far.pipe(far);
      for (let round = 0; round < 400; round += 1) {
        near.write("ping");
        await within(readBytes(near, 4), { limitMs: 8_000, what: `the answer to ${round}` });
      }
    }
    expect(client.stats().lostDatagrams).toBeGreaterThan(5);
    // By this the timers are set that find losses: were it seconds, so would be the stall after the next one.
    expect(Math.max(client.stats().rttMs, server.stats().rttMs)).toBeLessThan(300);
  });
}
