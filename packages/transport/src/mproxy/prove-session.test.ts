import { once } from "node:events";
import { generateIdentity } from "@culvert/identity";
import { systemClock, type ByteStream, type CloseReason } from "@culvert/runtime";
import {
  memoryCarrierPair,
  readPayload,
  streamOutcome,
  VirtualClock,
  waitUntil,
  within,
  type MemoryCarrier,
} from "@culvert/testkit";
import {
  encodeFrameHeader,
  formatControlMessage,
  MproxyDecoder,
  noConnection,
  parseControlMessage,
  type ControlMessage,
} from "@culvert/wire";
import { describe, expect, test } from "vitest";
import type { Session } from "../session.ts";
import {
  DiallerProof,
  ListenerProof,
  type DiallerProofOptions,
  type ListenerProofOptions,
  type ProofExchange,
} from "./identity-proof-exchange.ts";
import type { ChannelBinding } from "./identity-proof.ts";
import { proveSession, type ProveSessionOptions } from "./prove-session.ts";
import { tunnelSettings } from "./wss-settings.ts";
import { testSettings } from "./wss-pair.test-data.ts";

const relay = generateIdentity();
const box = generateIdentity();
const binding: ChannelBinding = { kind: "exporter", exporter: new Uint8Array(32).fill(3) };
const terms = { windowBytes: 300_000, maxStreams: 50, capabilities: ["half-close"] };

function dialler(options: Partial<DiallerProofOptions> = {}): ProofExchange {
  const nonce = new Uint8Array(32).fill(1);
  return new DiallerProof({
    identity: box,
    relayId: relay.peerId,
    bindings: [binding],
    nonce,
    terms,
    ...options,
  });
}

function listener(options: Partial<ListenerProofOptions> = {}): ProofExchange {
  const nonce = new Uint8Array(32).fill(2);
  return new ListenerProof({ identity: relay, binding, nonce, terms, ...options });
}

function prove(
  carrier: MemoryCarrier,
  role: "dialler" | "listener",
  options: Partial<ProveSessionOptions> = {},
): Promise<Session> {
  return proveSession({
    clock: systemClock,
    carrier,
    role,
    exchange: role === "dialler" ? dialler() : listener(),
    settings: tunnelSettings(testSettings),
    deadline: testSettings.handshakeTimeout,
    ...options,
  });
}

/** A peer that says what it likes, and remembers what it hears. */
class RawPeer {
  readonly heard: ControlMessage[] = [];
  closed: CloseReason | undefined;
  readonly #carrier: MemoryCarrier;

  constructor(carrier: MemoryCarrier) {
    this.#carrier = carrier;
    const decoder = new MproxyDecoder();
    let body: Uint8Array[] = [];
    carrier.start({
      data: (bytes) => {
        for (const event of decoder.push(bytes)) {
          if (event.type === "body") body.push(Uint8Array.from(event.bytes));
          if (event.type !== "end") continue;
          this.heard.push(parseControlMessage(Buffer.concat(body)));
          body = [];
        }
      },
      drain: () => undefined,
      alive: () => undefined,
      closed: (reason) => (this.closed = reason),
    });
  }

  say(...messages: readonly ControlMessage[]): void {
    for (const message of messages) this.sayBytes(formatControlMessage(message));
  }

  sayBytes(body: Uint8Array, length = body.length): void {
    const service = undefined;
    const header = { kind: "control", connection: noConnection, service, length } as const;
    const rest = { servicePort: undefined, name: undefined };
    this.#carrier.write([encodeFrameHeader({ ...header, ...rest }), body]);
  }

  openStream(): void {
    const id = { family: "culvert", address: "d", port: "1" };
    const fields = { service: "tcp", servicePort: "", name: "" };
    const frame = { kind: "connection", connection: id, length: 0, ...fields } as const;
    this.#carrier.write([encodeFrameHeader(frame)]);
  }

  async heardClose(): Promise<unknown> {
    await waitUntil(() => this.closed !== undefined, { what: "the end" });
    return this.heard.find((message) => message.type === "command" && message.command === "close");
  }
}

test("both ends get a session with the other, by its id", async () => {
  const [near, far] = memoryCarrierPair();
  const [client, server] = await Promise.all([prove(near, "dialler"), prove(far, "listener")]);
  expect(client.peer).toBe(relay.peerId);
  expect(server.peer).toBe(box.peerId);
  client.close({ by: "us", code: "done", text: "" });
  await server.closed;
});

test("streams that come right behind the dialler's proof are taken", async () => {
  const [near, far] = memoryCarrierPair();
  const serving = prove(far, "listener");
  const client = await prove(near, "dialler");
  const stream = await client.openStream();
  stream.end("at once");
  const server = await serving;
  const taken = await server.streams[Symbol.asyncIterator]().next();
  if (taken.done === true) throw new Error("no stream");
  expect((await within(readPayload(taken.value), { what: "the bytes" })).bytes).toBe(7);
  client.close({ by: "us", code: "done", text: "" });
});

describe("an end in one direction", () => {
  const all = Buffer.alloc(200_000, "a request");

  /** A stream and what the listener took; the listener's hello says these capabilities. */
  async function opened(capabilities: readonly string[]): Promise<{
    readonly client: Session;
    readonly near: ByteStream;
    readonly far: ByteStream;
  }> {
    const [left, right] = memoryCarrierPair();
    const exchange = listener({ terms: { ...terms, capabilities } });
    const [client, server] = await Promise.all([
      prove(left, "dialler"),
      prove(right, "listener", { exchange }),
    ]);
    const near = await client.openStream();
    near.write(all.subarray(0, 10));
    const taken = await server.streams[Symbol.asyncIterator]().next();
    if (taken.done === true) throw new Error("no stream");
    return { client, near, far: taken.value };
  }

  test("leaves the other one open where both ends say so in their hello", async () => {
    const { client, near, far } = await opened(["newer", "half-close"]);
    far.end();
    near.resume();
    await once(near, "end");
    near.end(all.subarray(10));
    expect((await within(readPayload(far), { what: "the rest" })).bytes).toBe(all.length);
    client.close({ by: "us", code: "done", text: "" });
  });

  test.each([[[]], [["newer"]]])(
    "ends both, once what came is read, where the peer's capabilities are %j",
    async (capabilities) => {
      const { client, near, far } = await opened(capabilities);
      far.end(all);
      const heard = streamOutcome(far);
      // What comes before the end is read to the last byte; what is written after it has nobody to go to.
      expect((await within(readPayload(near), { what: "what came" })).bytes).toBe(all.length);
      near.write(all);
      expect(await within(heard, { what: "our end" })).toMatchObject({ ended: true });
      near.end();
      await waitUntil(() => client.stats().openStreams === 0, { what: "the end of both" });
      expect(client.stats().sentBytes).toBeLessThan(all.length);
      client.close({ by: "us", code: "done", text: "" });
    },
  );
});

test("a peer that says nothing is given up at the deadline, by both roles", async () => {
  for (const role of ["dialler", "listener"] as const) {
    const clock = new VirtualClock();
    const [near, far] = memoryCarrierPair();
    const silent = new RawPeer(far);
    const proving = prove(near, role, { clock });
    const outcome = expect(proving).rejects.toMatchObject({ code: "timeout" });
    await clock.advance(testSettings.handshakeTimeout);
    await outcome;
    expect(await silent.heardClose()).toBeDefined();
  }
});

test("a proof that comes after the deadline proves nothing", async () => {
  const clock = new VirtualClock();
  const [near, far] = memoryCarrierPair();
  const late = new RawPeer(near);
  const serving = prove(far, "listener", { clock });
  const outcome = expect(serving).rejects.toMatchObject({ code: "timeout" });
  const exchange = dialler();
  late.say(...exchange.begin());
  await waitUntil(() => late.heard.length === 2, { what: "the listener's proof" });
  exchange.receive(late.heard[0]!);
  const { send } = exchange.receive(late.heard[1]!);
  await clock.advance(testSettings.handshakeTimeout);
  late.say(...send);
  await outcome;
  expect(await late.heardClose()).toBeDefined();
});

test("a dialler that meets another relay sends its hello and no more of itself", async () => {
  const [near, far] = memoryCarrierPair();
  const peer = new RawPeer(far);
  const dialling = prove(near, "dialler", {
    exchange: dialler({ relayId: generateIdentity().peerId }),
  });
  const outcome = expect(dialling).rejects.toMatchObject({ code: "wrong_peer" });
  await waitUntil(() => peer.heard.length === 1, { what: "the hello" });
  peer.say(...listener().receive(peer.heard[0]!).send);
  await outcome;
  expect(await peer.heardClose()).toBeDefined();
  expect(JSON.stringify(peer.heard)).not.toContain(box.peerId);
  expect(JSON.stringify(peer.heard)).not.toContain("signature");
});

test.each<[string, (peer: RawPeer) => void, string]>([
  ["opens a stream", (peer) => peer.openStream(), "connection_closed"],
  [
    "opens a stream between hello and proof",
    (peer) => {
      peer.say(...dialler().begin());
      peer.openStream();
    },
    "connection_closed",
  ],
  [
    "announces a hello above 8 KiB",
    (peer) => peer.sayBytes(new Uint8Array(0), 8 * 1024 + 1),
    "connection_closed",
  ],
  ["says no JSON", (peer) => peer.sayBytes(Buffer.from("{")), "connection_closed"],
  [
    "says another command",
    (peer) => peer.say({ type: "command", id: 1, command: "auth", args: [] }),
    "unexpected_message",
  ],
  [
    "says hello twice",
    (peer) => peer.say(...dialler().begin(), ...dialler().begin()),
    "unexpected_message",
  ],
])("a peer that %s before its proof is closed", async (_what, act, code) => {
  const [near, far] = memoryCarrierPair();
  const peer = new RawPeer(near);
  const serving = prove(far, "listener");
  const outcome = expect(serving).rejects.toMatchObject({ code });
  act(peer);
  await outcome;
  await waitUntil(() => peer.closed !== undefined, { what: "the end" });
});

test("a peer that hangs up, or refuses with a reason, ends the wait", async () => {
  const [near, far] = memoryCarrierPair();
  const serving = prove(far, "listener");
  const cut = expect(serving).rejects.toMatchObject({ code: "connection_closed" });
  near.cut();
  await cut;
  const [left, right] = memoryCarrierPair();
  const dialling = prove(left, "dialler", {
    exchange: dialler({ bindings: [{ kind: "challenge" }] }),
  });
  const refusing = prove(right, "listener");
  await expect(refusing).rejects.toMatchObject({ code: "handshake_failed" });
  await expect(dialling).rejects.toThrow(/TLS ends in this relay/);
});

test("a signal ends the wait", async () => {
  const [near, far] = memoryCarrierPair();
  const peer = new RawPeer(far);
  const aborting = new AbortController();
  const dialling = prove(near, "dialler", { signal: aborting.signal });
  const outcome = expect(dialling).rejects.toMatchObject({ code: "aborted" });
  aborting.abort(new Error("enough"));
  await outcome;
  expect(await peer.heardClose()).toBeDefined();
});
