import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { afterEach, beforeAll, expect, test } from "vitest";
import { createCertificate, generateIdentity } from "@culvert/identity";
import { millis, Scope, systemClock, systemRandom } from "@culvert/runtime";
import { seededRandom, waitUntil, watchForCrashes } from "@culvert/testkit";
import {
  createQuicheEngine,
  quicDefaults,
  type EngineWarning,
  type QuicConnection,
  type QuicListener,
  type QuicSettings,
} from "../index.ts";
import { loadQuicheBinding, type NativeConnection, type QuicheBinding } from "./binding.ts";
import { parsePacketHeader } from "./packet-header.ts";
import { createTransportConfig } from "./transport-config.ts";

const identity = generateIdentity();
const clientIdentity = generateIdentity();
const crashes = watchForCrashes();
const warnings: EngineWarning[] = [];
const engine = createQuicheEngine({
  clock: systemClock,
  random: systemRandom,
  warn: (event) => warnings.push(event),
});
let binding: QuicheBinding;
let scope = new Scope();

beforeAll(async () => {
  binding = await loadQuicheBinding();
});

afterEach(async () => {
  await scope.close();
  scope = new Scope();
  expect(crashes.take()).toEqual([]);
});

async function listen(settings: Partial<QuicSettings> = {}): Promise<QuicListener> {
  const listener = await engine.listen({
    address: { host: "127.0.0.1", port: 0 },
    identity,
    settings: { ...quicDefaults, ...settings },
  });
  scope.add(() => listener.close());
  return listener;
}

async function dial(listener: QuicListener): Promise<QuicConnection> {
  const connection = await engine.dial({
    address: listener.address,
    identity: clientIdentity,
    expectedPeer: identity.peerId,
    settings: quicDefaults,
  });
  scope.add(() => connection.close({ by: "us", code: "over", text: "the test is over" }));
  return connection;
}

/** Shows that the listener still serves. */
async function expectAlive(listener: QuicListener): Promise<void> {
  const connection = await dial(listener);
  expect(connection.peer).toBe(identity.peerId);
}

/** A bare UDP socket aimed at a listener. */
class RawClient {
  readonly received: Buffer[] = [];
  readonly #socket: Socket;
  readonly #port: number;

  private constructor(socket: Socket, port: number) {
    this.#socket = socket;
    this.#port = port;
    socket.on("message", (datagram) => this.received.push(datagram));
  }

  static async open(listener: QuicListener): Promise<RawClient> {
    const socket = createSocket("udp4");
    socket.bind(0, "127.0.0.1");
    await once(socket, "listening");
    scope.add(() => void socket.close());
    return new RawClient(socket, listener.address.port);
  }

  get address(): { host: string; port: number } {
    return { host: "127.0.0.1", port: this.#socket.address().port };
  }

  send(datagram: Uint8Array): Promise<void> {
    return new Promise((resolve) =>
      this.#socket.send(datagram, this.#port, "127.0.0.1", () => resolve()),
    );
  }

  answer(what: string): Promise<Buffer> {
    return waitUntil(() => this.received.shift(), { what });
  }
}

/** A client that says nothing by itself. */
async function nativeClient(raw: RawClient, listener: QuicListener): Promise<NativeConnection> {
  const certificate = await createCertificate(clientIdentity, {
    wallNowMs: systemClock.wallNowMs(),
  });
  const config = createTransportConfig(binding, certificate, quicDefaults, "bbr");
  const id = systemRandom.bytes(16);
  return binding.Connection.connect(null, id, raw.address, listener.address, config);
}

function nextDatagram(client: NativeConnection): Buffer {
  const out = Buffer.alloc(1500);
  const sent = client.send(out);
  if (sent === null) throw new Error("nothing to send");
  return out.subarray(0, sent[0]);
}

/** Starts a handshake and leaves it. */
async function leaveHandshake(listener: QuicListener): Promise<RawClient> {
  const raw = await RawClient.open(listener);
  await raw.send(nextDatagram(await nativeClient(raw, listener)));
  return raw;
}

test("an unknown version is answered with those there are, if the datagram is large enough", async () => {
  const listener = await listen();
  const raw = await RawClient.open(listener);
  const initial = Buffer.from(nextDatagram(await nativeClient(raw, listener)));
  initial.writeUInt32BE(0x1a2a3a4a, 1);
  await raw.send(initial.subarray(0, 1199));
  await raw.send(initial);
  const answer = await raw.answer("version negotiation");
  const header = parsePacketHeader(initial);
  const answered = parsePacketHeader(answer);
  expect(answered).toMatchObject({ form: "long", version: 0 });
  expect(answered?.dcid).toEqual(header?.form === "long" ? header.scid : undefined);
  expect(answer.includes(Buffer.from([0, 0, 0, 1]))).toBe(true);
  expect(raw.received).toEqual([]);
  expect(listener.stats().drops.malformed).toBe(1);
  await raw.send(answer);
  await waitUntil(() => listener.stats().drops.malformed === 2, { what: "the echo to be dropped" });
  expect(raw.received).toEqual([]);
});

test("with many handshakes under way a new one is asked for proof of its address, and succeeds", async () => {
  const listener = await listen({ retryAboveHalfOpen: 2, handshakeTimeout: millis(2_000) });
  for (let count = 0; count < 3; count += 1) await leaveHandshake(listener);
  await waitUntil(() => listener.stats().halfOpen === 3, { what: "three open handshakes" });
  await expectAlive(listener);
  await waitUntil(() => listener.stats().handshakesCompleted === 1, { what: "the handshake" });
  expect(listener.stats().retriesSent).toBe(1);
  await waitUntil(() => listener.stats().halfOpen === 0, { what: "the others to be given up" });
  expect(listener.stats().handshakesFailed).toBe(3);
});

test("forged, foreign and stale tokens are dropped and counted", async () => {
  const listener = await listen({ retryAboveHalfOpen: 0, handshakeTimeout: millis(60_000) });
  await leaveHandshake(listener);
  await waitUntil(() => listener.stats().halfOpen === 1, { what: "an open handshake" });
  const raw = await RawClient.open(listener);
  const client = await nativeClient(raw, listener);
  await raw.send(nextDatagram(client));
  const retry = await raw.answer("a Retry");
  client.recv(retry, { from: listener.address, to: raw.address });
  const withToken = nextDatagram(client);
  const header = parsePacketHeader(withToken);
  const token = header?.form === "long" ? header.token : Buffer.alloc(0);
  expect(token.length).toBeGreaterThan(40);

  const forged = Buffer.from(withToken);
  const at = forged.indexOf(token) + 3;
  forged.writeUInt8(forged.readUInt8(at) ^ 1, at);
  await raw.send(forged);
  const thief = await RawClient.open(listener);
  await thief.send(withToken);
  await waitUntil(() => listener.stats().drops.bad_token === 2, { what: "two bad tokens" });
  expect(listener.stats().halfOpen).toBe(1);
  await raw.send(withToken);
  await waitUntil(() => listener.stats().halfOpen === 2, { what: "the good token" });
});

test("ten thousand random datagrams do no harm", async () => {
  const listener = await listen();
  const raw = await RawClient.open(listener);
  const random = seededRandom(20_240_801);
  const total = 10_000;
  let counted = 0;
  const dropped = (): number =>
    Object.values(listener.stats().drops).reduce((sum, count) => sum + count, 0);
  for (let index = 0; index < total; index += 1) {
    const datagram = Buffer.from(random.bytes(Math.floor(random.fraction() * 1400)));
    if (datagram.length > 5 && index % 2 === 0) {
      // Half of them look like packets of our version.
      datagram[0] = 0xc0 | (datagram[0] ?? 0);
      datagram.writeUInt32BE(1, 1);
    }
    await raw.send(datagram);
    counted += 1;
    if (index % 500 === 0) await expectAlive(listener);
  }
  expect(counted).toBe(total);
  // The few that were long enough for a handshake failed at once, or were answered.
  await waitUntil(() => dropped() > total * 0.9, { what: "the drops to be counted" });
  await waitUntil(() => listener.stats().halfOpen === 0, { what: "no open handshake" });
  await expectAlive(listener);
});

test("cut and padded Initials start nothing", async () => {
  const listener = await listen();
  const raw = await RawClient.open(listener);
  const initial = nextDatagram(await nativeClient(raw, listener));
  for (const length of [1, 7, 20, 60, 600, 1199]) await raw.send(initial.subarray(0, length));
  await waitUntil(() => listener.stats().drops.malformed === 6, { what: "six drops" });
  expect(listener.stats().handshakesStarted).toBe(0);
  await expectAlive(listener);
});

test("at the limit of open handshakes new ones are dropped, and places come free again", async () => {
  const settings = { maxHalfOpen: 4, retryAboveHalfOpen: 100, handshakeTimeout: millis(1_500) };
  const listener = await listen(settings);
  for (let count = 0; count < 6; count += 1) await leaveHandshake(listener);
  await waitUntil(() => listener.stats().drops.half_open_limit >= 2, { what: "two drops" });
  expect(listener.stats().halfOpen).toBe(4);
  await waitUntil(() => listener.stats().halfOpen === 0, { what: "the silent to be given up" });
  expect(listener.stats().handshakesFailed).toBe(4);
  await expectAlive(listener);
});

test("a client without a certificate is refused", async () => {
  const listener = await listen();
  const raw = await RawClient.open(listener);
  const config = binding.Config.withBoringSslCtx(true, true, null, null, null, null);
  config.setApplicationProtos(["libp2p"]);
  const client = binding.Connection.connect(
    null,
    systemRandom.bytes(16),
    raw.address,
    listener.address,
    config,
  );
  const pump = (): void => {
    for (const datagram of raw.received.splice(0)) {
      client.recv(datagram, { from: listener.address, to: raw.address });
    }
    const out = Buffer.alloc(1500);
    for (let sent = client.send(out); sent !== null; sent = client.send(out)) {
      void raw.send(Buffer.from(out.subarray(0, sent[0])));
    }
  };
  await waitUntil(
    () => {
      pump();
      return listener.stats().handshakesFailed === 1;
    },
    { what: "the refusal" },
  );
  expect(listener.stats().handshakesCompleted).toBe(0);
  await expectAlive(listener);
});

test("a short packet of nobody is answered with a shorter reset, and not for ever", async () => {
  const listener = await listen();
  const raw = await RawClient.open(listener);
  const packet = Buffer.concat([Buffer.from([0x41]), systemRandom.bytes(60)]);
  await raw.send(packet);
  const reset = await raw.answer("a stateless reset");
  expect(reset.length).toBeLessThan(packet.length);
  expect(parsePacketHeader(reset)?.form).toBe("short");
  let last = reset;
  for (let round = 0; round < 10; round += 1) {
    const dropped = listener.stats().drops.unknown_connection + listener.stats().drops.malformed;
    await raw.send(last);
    await waitUntil(
      () => listener.stats().drops.unknown_connection + listener.stats().drops.malformed > dropped,
      { what: "the reset to be looked at" },
    );
    last = raw.received.shift() ?? last;
  }
  expect(last.length).toBeLessThan(38);
});

test("buffers smaller than asked are told of once, with the remedy", async () => {
  warnings.length = 0;
  await listen({ socketBufferBytes: 2 ** 30 });
  await listen({ socketBufferBytes: 2 ** 30 });
  expect(warnings).toMatchObject([{ code: "udp_buffer_small" }]);
  if (process.platform === "linux") expect(warnings[0]?.text).toContain("net.core.rmem_max");
});
