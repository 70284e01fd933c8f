import { generateIdentity } from "@culvert/identity";
import { millis } from "@culvert/runtime";
import { readBytes, VirtualClock } from "@culvert/testkit";
import { expect, test } from "vitest";
import { createMemoryNetwork, quicDefaults, type QuicSettings } from "../index.ts";
import type { QuicConnection } from "../engine.ts";

const settings: QuicSettings = {
  ...quicDefaults,
  handshakeTimeout: millis(5_000),
  idleTimeout: millis(8_000),
  keepAlive: millis(1_000),
};
const anyPort = { host: "127.0.0.1", port: 0 };

async function setUp(options: { latencyMs?: number; settings?: Partial<QuicSettings> } = {}) {
  const clock = new VirtualClock();
  const latency = millis(options.latencyMs ?? 0);
  const network = createMemoryNetwork({ clock }, { latency });
  const [server, client] = [network.createEngine(), network.createEngine()];
  const [serverId, clientId] = [generateIdentity(), generateIdentity()];
  const listening = { ...settings, ...options.settings };
  const listener = await server.listen({
    address: anyPort,
    identity: serverId,
    settings: listening,
  });
  const dial = (): Promise<QuicConnection> =>
    client.dial({
      address: listener.address,
      identity: clientId,
      expectedPeer: serverId.peerId,
      settings,
    });
  const connections = listener.connections[Symbol.asyncIterator]();
  const accept = async (): Promise<QuicConnection> => {
    const next = await connections.next();
    if (next.done === true) throw new Error("the listener ended");
    return next.value;
  };
  return { accept, clock, network, server, client, listener, dial };
}

test("a frozen peer is noticed at the idle time-out, to the millisecond", async () => {
  const { clock, server, dial } = await setUp();
  const connection = await dial();
  await clock.advance(60_000);
  server.freeze();
  const frozenAt = clock.now();
  let closedAt: number | undefined;
  void connection.closed.then(() => (closedAt = clock.now()));
  await clock.advance(settings.idleTimeout);
  expect(await connection.closed).toMatchObject({ by: "timeout", code: "idle" });
  expect(closedAt! - frozenAt).toBeGreaterThan(settings.idleTimeout - settings.keepAlive - 1);
  expect(closedAt! - frozenAt).toBeLessThanOrEqual(settings.idleTimeout);
});

test("a frozen process notices its own time-out when it wakes", async () => {
  const { accept, clock, server, dial } = await setUp();
  await dial();
  const connection = await accept();
  let closed = false;
  void connection.closed.then(() => (closed = true));
  server.freeze();
  await clock.advance(60_000);
  expect(closed).toBe(false);
  server.thaw();
  expect(await connection.closed).toMatchObject({ by: "timeout" });
});

test("a failed path ends both sides at once, by the network", async () => {
  const { accept, client, dial } = await setUp();
  const connection = await dial();
  const accepted = await accept();
  client.cut();
  expect(await connection.closed).toMatchObject({ by: "network", code: "path_failed" });
  expect(await accepted.closed).toMatchObject({ by: "network", code: "path_failed" });
});

test("frames take the latency, and the round trip shows in the counters", async () => {
  const { clock, dial } = await setUp({ latencyMs: 40 });
  const dialling = dial();
  let done = false;
  void dialling.then(() => (done = true));
  await clock.advance(79);
  expect(done).toBe(false);
  await clock.advance(1);
  const connection = await dialling;
  expect(connection.stats().rttMs).toBe(80);
});

test("a dial that nobody answers ends at the handshake time-out", async () => {
  const { clock, listener, dial } = await setUp();
  await listener.close();
  const dialling = expect(dial()).rejects.toMatchObject({ code: "timeout" });
  await clock.advance(settings.handshakeTimeout);
  await dialling;
});

test("connections that nobody takes are refused beyond the bound, and counted", async () => {
  const { clock, listener, dial } = await setUp({ settings: { maxHalfOpen: 2 } });
  const connections = [await dial(), await dial(), await dial()];
  await clock.advance(10);
  expect(await connections[2]!.closed).toMatchObject({ by: "peer-app", code: "queue_full" });
  expect(listener.stats().drops.queue_full).toBe(1);
  expect(listener.stats().handshakesCompleted).toBe(3);
});

test("handshakes that are given up do not stay half open", async () => {
  const { clock, client, listener, dial } = await setUp({ latencyMs: 10 });
  const dialling = expect(dial()).rejects.toMatchObject({ code: "timeout" });
  await clock.advance(15);
  expect(listener.stats().halfOpen).toBe(1);
  client.freeze();
  await clock.advance(settings.handshakeTimeout);
  await dialling;
  expect(listener.stats()).toMatchObject({ halfOpen: 0, handshakesFailed: 1 });
});

test("streams that nobody takes are reset beyond the bound", async () => {
  const { accept, clock, dial } = await setUp({ settings: { maxStreams: 2 } });
  const connection = await dial();
  const accepted = await accept();
  for (let count = 0; count < 3; count += 1) {
    const stream = await connection.openStream();
    stream.write("!");
    stream.destroy();
    await clock.advance(1);
  }
  expect(accepted.stats().openStreams).toBe(0);
  expect(connection.stats().openStreams).toBe(0);
});

test("a thawed process gets what was sent meanwhile, in order", async () => {
  const { accept, clock, server, dial } = await setUp();
  const connection = await dial();
  const accepted = await accept();
  const stream = await connection.openStream();
  server.freeze();
  for (const word of ["one ", "two ", "three"]) stream.write(word);
  await clock.advance(3_000);
  server.thaw();
  const far = await accepted.streams[Symbol.asyncIterator]().next();
  if (far.done === true) throw new Error("the connection ended");
  expect(String(await readBytes(far.value, 13))).toBe("one two three");
});
