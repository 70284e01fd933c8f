import { createSocket } from "node:dgram";
import { once } from "node:events";
import { afterEach, expect, test } from "vitest";
import { createCertificate, generateIdentity } from "@culvert/identity";
import { Scope, systemClock, systemRandom } from "@culvert/runtime";
import { waitUntil, within } from "@culvert/testkit";
import {
  createQuicheEngine,
  quicDefaults,
  type QuicListener,
  type QuicSettings,
  type UdpAddress,
} from "../index.ts";
import { loadQuicheBinding } from "./binding.ts";
import { QuicheListener } from "./listener.ts";
import { ReadBuffer } from "./read-buffer.ts";
import { ResetTokens } from "./reset-tokens.ts";
import { createTransportConfig } from "./transport-config.ts";
import { TurnScheduler } from "./turn-scheduler.ts";
import { UdpSocket } from "./udp-socket.ts";

const identity = generateIdentity();
const deps = { clock: systemClock, random: systemRandom, warn: () => undefined };
const anyPort = { host: "127.0.0.1", port: 0 };
let scope = new Scope();

afterEach(async () => {
  await scope.close();
  scope = new Scope();
});

async function listen(settings: Partial<QuicSettings> = {}): Promise<QuicListener> {
  const listener = await createQuicheEngine(deps).listen({
    address: anyPort,
    identity,
    settings: { ...quicDefaults, ...settings },
  });
  scope.add(() => listener.close());
  return listener;
}

async function dial(address: UdpAddress): Promise<void> {
  const connection = await createQuicheEngine(deps).dial({
    address,
    identity: generateIdentity(),
    expectedPeer: identity.peerId,
    settings: quicDefaults,
  });
  scope.add(() => connection.close({ by: "us", code: "over", text: "the test is over" }));
}

/** A socket between one client and a listener, which keeps the first datagram of the client. */
async function openRecorder(
  listener: QuicListener,
): Promise<{ address: UdpAddress; sendFirstAgain: () => void }> {
  const socket = createSocket("udp4");
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  scope.add(() => void socket.close());
  let first: Buffer | undefined;
  let clientPort = 0;
  const { port } = listener.address;
  socket.on("message", (datagram, from) => {
    if (from.port === port) {
      socket.send(datagram, clientPort, "127.0.0.1");
      return;
    }
    clientPort = from.port;
    first ??= Buffer.from(datagram);
    socket.send(datagram, port, "127.0.0.1");
  });
  return {
    address: { host: "127.0.0.1", port: socket.address().port },
    sendFirstAgain: () => socket.send(first ?? "", port, "127.0.0.1"),
  };
}

test.each([{ retryAboveHalfOpen: 32 }, { retryAboveHalfOpen: -1 }])(
  "a copy of the first datagram that comes late starts no handshake (%j)",
  async (settings) => {
    const listener = await listen(settings);
    const recorder = await openRecorder(listener);
    await dial(recorder.address);
    await waitUntil(() => listener.stats().handshakesCompleted === 1, { what: "the handshake" });
    const { handshakesStarted, retriesSent } = listener.stats();
    for (let copy = 0; copy < 3; copy += 1) recorder.sendFirstAgain();
    // Handled in order: when this one is through, so are the copies.
    await dial(listener.address);
    await waitUntil(() => listener.stats().handshakesCompleted === 2, { what: "another" });
    expect(listener.stats()).toMatchObject({
      handshakesStarted: handshakesStarted + 1,
      retriesSent: settings.retryAboveHalfOpen < 0 ? retriesSent + 1 : retriesSent,
    });
  },
);

test("two listeners of one identity have different reset tokens, and one keeps its own", () => {
  const id = Buffer.alloc(16, 3);
  const token = (host: string, port: number): string =>
    new ResetTokens(identity, { host, port }).bytesFor(id).toString("hex");
  const tokens = [token("127.0.0.1", 443), token("127.0.0.1", 444), token("0.0.0.0", 443)];
  expect(new Set(tokens).size).toBe(3);
  expect(token("127.0.0.1", 443)).toBe(tokens[0]);
});

test("a flood of datagrams of no connection is cut off, and keeps nobody out", async () => {
  const listener = await listen();
  const socket = createSocket("udp4");
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  scope.add(() => void socket.close());
  const dropped = (): number => {
    const { drops } = listener.stats();
    return drops.rate_limit + drops.unknown_connection;
  };
  const total = 4_000;
  for (let count = 1; count <= total; count += 1) {
    const packet = Buffer.concat([Buffer.from([0x41]), systemRandom.bytes(60)]);
    socket.send(packet, listener.address.port, "127.0.0.1");
    // No more at a time than the kernel's buffers hold.
    if (count % 100 === 0) await waitUntil(() => dropped() === count, { what: "the drops" });
  }
  expect(listener.stats().drops.rate_limit).toBeGreaterThan(total / 4);
  await within(dial(listener.address), { limitMs: 900, what: "a handshake" });
});

test("slots for last words are not kept", async () => {
  const socket = await UdpSocket.open({ bind: anyPort, bufferBytes: 65_536, datagramBytes: 1350 });
  scope.add(() => socket.close());
  const takeAll = (lastWords: number) => {
    const slots = [];
    for (let slot = socket.takeSlot(); slot !== undefined; slot = socket.takeSlot()) {
      slots.push(slot);
    }
    for (let count = 0; count < lastWords; count += 1) {
      const slot = socket.takeSlot(true);
      if (slot !== undefined) slots.push(slot);
    }
    return slots;
  };
  const slots = takeAll(0);
  for (const slot of slots) socket.returnSlot(slot);
  for (let round = 0; round < 5; round += 1) {
    const more = takeAll(4);
    expect(more).toHaveLength(slots.length + 4);
    for (const slot of more) socket.returnSlot(slot);
  }
  expect(takeAll(0)).toHaveLength(slots.length);
});

test("the operator is told, once, that datagrams are too large for the kernel", async () => {
  const binding = await loadQuicheBinding();
  const certificate = await createCertificate(identity, { wallNowMs: systemClock.wallNowMs() });
  const config = createTransportConfig(binding, certificate, quicDefaults, "bbr");
  const socket = await UdpSocket.open({
    bind: anyPort,
    bufferBytes: 65_536,
    datagramBytes: 70_000,
  });
  const told: number[] = [];
  const listener = new QuicheListener(
    {
      ...deps,
      binding,
      config,
      socket,
      scheduler: new TurnScheduler(),
      readBuffer: new ReadBuffer(),
      certificateOf: () => Promise.resolve(certificate),
      warnOfFault: () => undefined,
      warnOfSize: (bytes) => told.push(bytes),
      checkBuffers: () => true,
    },
    { address: anyPort, identity, settings: quicDefaults },
  );
  scope.add(() => listener.close());
  for (let count = 0; count < 2; count += 1) {
    const slot = socket.takeSlot();
    if (slot === undefined) throw new Error("no slot");
    socket.send(slot, 70_000, listener.address);
  }
  await waitUntil(() => told.length > 0, { what: "the warning" });
  await dial(listener.address);
  expect(told).toEqual([quicDefaults.datagramBytes]);
});
