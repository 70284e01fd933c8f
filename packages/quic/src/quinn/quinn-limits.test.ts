import { spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { once, setMaxListeners } from "node:events";
import { readdirSync, readlinkSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { generateIdentity } from "@culvert/identity";
import { millis, systemClock, systemRandom } from "@culvert/runtime";
import { readBytes, streamOutcome, waitUntil, within } from "@culvert/testkit";
import { afterEach, describe, expect, it } from "vitest";
import { createQuinnEngine, quicDefaults, quinnAvailable } from "../index.ts";
import type { EngineWarning, QuicConnection, QuicListener, QuicSettings } from "../index.ts";
import { loadAddon } from "./addon.ts";

const warnings: EngineWarning[] = [];
const engine = createQuinnEngine({
  clock: systemClock,
  random: systemRandom,
  warn: (warning) => warnings.push(warning),
});
const server = generateIdentity();
const client = generateIdentity();
const settings: QuicSettings = { ...quicDefaults, idleTimeout: millis(2_000) };
const over = { by: "us", code: "over", text: "the test is over" } as const;

const cleanups: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function listen(overrides: Partial<QuicSettings> = {}): Promise<QuicListener> {
  const listener = await engine.listen({
    address: { host: "127.0.0.1", port: 0 },
    identity: server,
    settings: { ...settings, ...overrides },
  });
  cleanups.push(() => listener.close());
  return listener;
}

async function dial(port: number, host = "127.0.0.1"): Promise<QuicConnection> {
  const connection = await engine.dial({
    address: { host, port },
    identity: client,
    expectedPeer: server.peerId,
    settings,
  });
  cleanups.push(() => connection.close(over));
  return connection;
}

async function accept<T>(things: AsyncIterable<T>): Promise<T> {
  const iterator = things[Symbol.asyncIterator]();
  const next = await within(iterator.next(), { what: "the next" });
  if (next.done === true) throw new Error("there is no next");
  return next.value;
}

const reason = quinnAvailable() ? "" : " (skipped: the quinn addon is not installed here)";

describe.skipIf(!quinnAvailable())(`quinn engine${reason}`, () => {
  it("lets nobody wait behind peers that fall silent in their handshake", async () => {
    const listener = await listen({ maxHalfOpen: 64 });
    // First flights of dials to a port that never answers, sent on to the listener by as many sockets.
    const trap = createSocket("udp4").bind(0, "127.0.0.1");
    await once(trap, "listening");
    const flights = new Map<number, Buffer>();
    trap.on("message", (flight, { port }) => flights.set(port, flight));
    const abort = new AbortController();
    setMaxListeners(silentPeers, abort.signal);
    const address = { host: "127.0.0.1", port: trap.address().port };
    const dials = Array.from({ length: silentPeers }, () =>
      engine
        .dial({
          address,
          identity: client,
          expectedPeer: server.peerId,
          settings,
          signal: abort.signal,
        })
        .catch(() => undefined),
    );
    await waitUntil(() => flights.size === silentPeers, { what: "all first flights" });
    for (const flight of flights.values()) {
      const socket = createSocket("udp4");
      cleanups.push(() => void socket.close());
      socket.send(flight, listener.address.port, "127.0.0.1");
    }
    await waitUntil(() => listener.stats().halfOpen === silentPeers, { what: "half-open ones" });
    abort.abort();
    await Promise.all(dials);
    trap.close();

    const connection = await within(dial(listener.address.port), {
      limitMs: 1_000,
      what: "a dial",
    });
    expect((await accept(listener.connections)).peer).toBe(client.peerId);
    const stats = listener.stats();
    expect(stats).toMatchObject({ handshakesCompleted: 1, halfOpen: silentPeers });
    connection.close(over);

    await waitUntil(() => listener.stats().halfOpen === 0, {
      limitMs: settings.idleTimeout + 2_000,
      what: "the end of silent handshakes",
    });
    expect(listener.stats().handshakesFailed).toBe(silentPeers);
  });

  it("closes a listener in bounded time though handshakes hang", async () => {
    const listener = await listen();
    const trap = createSocket("udp4").bind(0, "127.0.0.1");
    await once(trap, "listening");
    const flight = once(trap, "message") as Promise<[Buffer]>;
    const abort = new AbortController();
    const address = { host: "127.0.0.1", port: trap.address().port };
    const dialling = engine
      .dial({
        address,
        identity: client,
        expectedPeer: server.peerId,
        settings,
        signal: abort.signal,
      })
      .catch(() => undefined);
    trap.send((await flight)[0], listener.address.port, "127.0.0.1");
    await waitUntil(() => listener.stats().halfOpen === 1, { what: "a half-open handshake" });
    abort.abort();
    await dialling;
    trap.close();
    await within(listener.close(), { limitMs: 3_000, what: "the close" });
  });

  it("is not moved by garbage", async () => {
    const listener = await listen();
    const socket = createSocket("udp4");
    cleanups.push(() => void socket.close());
    for (let index = 0; index < 500; index += 1) {
      const garbage = systemRandom.bytes(1 + ((index * 37) % 1_400));
      // Half of them look like the start of a QUIC handshake.
      if (index % 2 === 0 && garbage.length > 5) garbage.set([0xc0, 0, 0, 0, 1]);
      socket.send(garbage, listener.address.port, "127.0.0.1");
    }
    await dial(listener.address.port);
    expect((await accept(listener.connections)).peer).toBe(client.peerId);
  });

  it("refuses peers whose key is not Ed25519, in both roles", async () => {
    const addon = loadAddon();
    const config = new addon.QuinnConfig({
      // A secp256k1 key, which the libp2p specification allows.
      privateKeyProto: Uint8Array.of(8, 2, 0x12, 0x20, ...new Uint8Array(32).fill(7)),
      handshakeTimeout: 2_000,
      shutdownTimeout: 1_000,
      maxIdleTimeout: 2_000,
      keepAliveInterval: 1_000,
      maxConcurrentStreamLimit: 10,
      maxStreamData: 100_000,
      maxConnectionData: 100_000,
      receiveBufferSize: 100_000,
      sendBufferSize: 100_000,
    });
    const listener = await listen();
    const foreignClient = new addon.Client(config, 0);
    const foreign = await foreignClient.outboundConnection("127.0.0.1", listener.address.port);
    await expect(foreign.inboundStream()).rejects.toThrow("closed by peer");
    expect(listener.stats()).toMatchObject({ handshakesCompleted: 0, handshakesFailed: 1 });
    foreignClient.abort();

    const foreignServer = new addon.Server(config, "127.0.0.1", 0);
    const accepting = foreignServer.inboundConnection().catch(() => undefined);
    await expect(dial(foreignServer.port())).rejects.toMatchObject({ code: "wrong_peer" });
    await accepting;
    await foreignServer.abort();
  });

  it("keeps its counters as they were at the end, whatever becomes of its socket", async () => {
    const listener = await listen();
    const connection = await dial(listener.address.port);
    const accepted = await accept(listener.connections);
    const near = await connection.openStream();
    near.end("!");
    const far = await accept(accepted.streams);
    await readBytes(far, 1);
    connection.close(over);
    await connection.closed;
    const atTheEnd = connection.stats();
    expect(atTheEnd).toMatchObject({ openStreams: 0 });
    expect(atTheEnd.sentBytes).toBeGreaterThan(0);
    await listener.close();
    await accepted.closed;
    expect(connection.stats()).toEqual(atTheEnd);
  });

  it("says what is wrong with an address", async () => {
    await expect(dial(0)).rejects.toMatchObject({ code: "dial_failed" });
    await expect(dial(30380, "relay.example")).rejects.toMatchObject({ code: "dial_failed" });
    const options = { identity: server, settings };
    for (const host of ["192.0.2.1", "relay.example"]) {
      await expect(engine.listen({ ...options, address: { host, port: 0 } })).rejects.toMatchObject(
        { code: "address_unavailable" },
      );
    }
  });

  it("lets a stream go at once though the peer does not read, and the peer learns when it does", async () => {
    const listener = await listen();
    const connection = await dial(listener.address.port);
    const accepted = await accept(listener.connections);
    const near = await connection.openStream();
    near.write("!");
    const far = await accept(accepted.streams);
    await readBytes(far, 1);
    near.write(Buffer.alloc(32 * 1024 * 1024));
    const windowBytes = settings.connectionWindowBytes / 16;
    await waitUntil(() => accepted.stats().receivedBytes > windowBytes, { what: "a full window" });
    near.on("error", () => undefined);
    const closed = new Promise((resolve) => near.once("close", resolve));
    near.destroy(new Error("given up"));
    await within(closed, { limitMs: 100, what: "the close of our own end" });
    expect(connection.stats().openStreams).toBe(0);
    const { ended, error } = await streamOutcome(far);
    expect(ended).toBe(false);
    expect(error).toMatchObject({ code: "stream_reset" });
  });

  it("tells a peer that only reads of a stop when it writes", async () => {
    const listener = await listen();
    const connection = await dial(listener.address.port);
    const accepted = await accept(listener.connections);
    const near = await connection.openStream();
    near.write("!");
    const far = await accept(accepted.streams);
    near.resume();
    near.stopReceiving();
    const told = once(far, "peerreset") as Promise<unknown[]>;
    const writing = setInterval(() => far.write("?"), 10);
    cleanups.push(() => clearInterval(writing));
    const [event] = await within(told, { what: "the stop" });
    expect(event).toEqual({ direction: "sending", code: 0 });
  });

  it.skipIf(process.platform !== "linux")("warns once of small socket buffers", async () => {
    await listen({ socketBufferBytes: 2 ** 40 });
    await listen({ socketBufferBytes: 2 ** 40 });
    const small = warnings.filter(({ code }) => code === "udp_buffer_small");
    expect(small.length).toBeLessThanOrEqual(1);
    for (const { text } of small) expect(text).toContain("sysctl -w net.core.rmem_default=");
  });

  it.skipIf(process.platform !== "linux")(
    "does not pile up sockets when it dials again and again",
    async () => {
      const listener = await listen();
      for (let count = 0; count < 150; count += 1) {
        const connection = await dial(listener.address.port);
        connection.close(over);
        await connection.closed;
        // What the test itself refers to is not freed.
        cleanups.pop();
      }
      await waitUntil(() => openSockets() < 75, { what: "sockets to be freed" });
    },
  );

  it("keeps no process alive that has closed everything", async () => {
    const child = spawn(
      process.execPath,
      ["--import", "tsx", "--conditions=@culvert/source", "--input-type=module", "-e", program],
      { cwd: fileURLToPath(new URL(".", import.meta.url)), stdio: ["ignore", "pipe", "inherit"] },
    );
    cleanups.push(() => void child.kill("SIGKILL"));
    const exited = once(child, "exit") as Promise<[number | null]>;
    let output = "";
    child.stdout.on("data", (text: Buffer) => (output += String(text)));
    const [code] = await within(exited, { limitMs: 15_000, what: "the end of the process" });
    expect({ code, output }).toEqual({ code: 0, output: "closed everything\n" });
  });
});

function openSockets(): number {
  return readdirSync("/proc/self/fd").filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith("socket:");
    } catch {
      return false;
    }
  }).length;
}

const silentPeers = 40;

/** Dials that fail and succeed, streams that are open, blocked and half-closed; then closes all of it. */
const program = `
  import { once } from "node:events";
  import { createQuinnEngine, quicDefaults } from "@culvert/quic";
  import { generateIdentity } from "@culvert/identity";
  import { millis, systemClock, systemRandom } from "@culvert/runtime";

  const engine = createQuinnEngine({ clock: systemClock, random: systemRandom, warn() {} });
  const server = generateIdentity();
  const settings = { ...quicDefaults, idleTimeout: millis(60_000) };
  const listener = await engine.listen({ address: { host: "127.0.0.1", port: 0 }, identity: server, settings });
  const dial = (port, overrides = {}) => engine.dial({
    address: { host: "127.0.0.1", port }, identity: generateIdentity(), expectedPeer: server.peerId,
    settings: { ...settings, ...overrides },
  });
  await dial(9, { handshakeTimeout: millis(100) }).catch(() => undefined);
  const connection = await dial(listener.address.port);
  const accepted = (await listener.connections[Symbol.asyncIterator]().next()).value;
  const quiet = await connection.openStream();
  quiet.write("!");
  const blocked = await connection.openStream();
  for (let index = 0; index < 100; index += 1) blocked.write(Buffer.alloc(1024 * 1024));
  const halfClosed = await accepted.openStream();
  halfClosed.end("?");
  await once(halfClosed, "finish");
  const reason = { by: "us", code: "over", text: "" };
  connection.close(reason);
  await connection.closed;
  await listener.close();
  await accepted.closed;
  console.log("closed everything");
`;
