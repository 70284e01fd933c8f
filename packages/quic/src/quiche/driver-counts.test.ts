import { once } from "node:events";
import { afterEach, expect, test } from "vitest";
import { generateIdentity } from "@culvert/identity";
import { millis, releaseBuffer, Scope, systemClock, systemRandom } from "@culvert/runtime";
import { readBytes, readPayload, waitUntil, within, writePayload } from "@culvert/testkit";
import {
  createQuicheEngine,
  largestDatagramBytes,
  quicDefaults,
  type QuicConnection,
  type QuicSettings,
  type QuicStream,
} from "../index.ts";
import type { DriverCounts } from "./driver-counts.ts";
import { QuicheConnection } from "./quiche-connection.ts";

const deps = { clock: systemClock, random: systemRandom, warn: () => undefined };
let scope = new Scope();

afterEach(async () => {
  await scope.close();
  scope = new Scope();
});

async function connect(
  datagramBytes: number,
  special: Partial<QuicSettings> = {},
): Promise<{ client: QuicheConnection; server: QuicheConnection }> {
  const settings = { ...quicDefaults, datagramBytes, ...special };
  const identity = generateIdentity();
  const listener = await createQuicheEngine(deps).listen({
    address: { host: "127.0.0.1", port: 0 },
    identity,
    settings,
  });
  scope.add(() => listener.close());
  const client = await createQuicheEngine(deps).dial({
    address: listener.address,
    identity: generateIdentity(),
    expectedPeer: identity.peerId,
    settings,
  });
  scope.add(() => client.close({ by: "us", code: "over", text: "the test is over" }));
  const server = await next(listener.connections);
  return { client: quiche(client), server: quiche(server) };
}

function quiche(connection: QuicConnection): QuicheConnection {
  if (connection instanceof QuicheConnection) return connection;
  throw new Error("not a connection of quiche");
}

async function next<T>(items: AsyncIterable<T>): Promise<T> {
  const item = await within(items[Symbol.asyncIterator]().next(), { what: "the next one" });
  if (item.done === true) throw new Error("there is no next one");
  return item.value;
}

async function streamPair(
  client: QuicConnection,
  server: QuicConnection,
): Promise<{ near: QuicStream; far: QuicStream }> {
  const near = await client.openStream();
  near.write("!");
  const far = await next(server.streams);
  await readBytes(far, 1);
  return { near, far };
}

/** What `work` cost, as a share: per MiB, per round. */
async function costOf(
  connection: QuicheConnection,
  shares: number,
  work: () => Promise<unknown>,
): Promise<DriverCounts> {
  const before = { ...connection.counts };
  await work();
  const after = connection.counts;
  const share = (name: keyof DriverCounts): number => (after[name] - before[name]) / shares;
  return {
    turns: share("turns"),
    nativeCalls: share("nativeCalls"),
    timers: share("timers"),
    sentDatagrams: share("sentDatagrams"),
    receivedDatagrams: share("receivedDatagrams"),
    chunks: share("chunks"),
  };
}

async function transfer(
  { near, far }: { near: QuicStream; far: QuicStream },
  bytes: number,
): Promise<void> {
  await within(Promise.all([writePayload(near, bytes, 1), readPayload(far)]), {
    limitMs: 15_000,
    what: "the transfer",
  });
}

const mebibyte = 1024 * 1024;

test.each([
  { datagramBytes: largestDatagramBytes, datagramsPerMebibyte: 65, mebibytes: 64 },
  { datagramBytes: 1350, datagramsPerMebibyte: 806, mebibytes: 16 },
])(
  "what a MiB costs is bounded, in datagrams of $datagramBytes bytes",
  async ({ datagramBytes, datagramsPerMebibyte, mebibytes }) => {
    const { client, server } = await connect(datagramBytes);
    const pair = await streamPair(client, server);
    let received: DriverCounts | undefined;
    const sent = await costOf(client, mebibytes, async () => {
      received = await costOf(server, mebibytes, () => transfer(pair, mebibytes * mebibyte));
    });
    expect(sent.sentDatagrams).toBeLessThan(1.1 * datagramsPerMebibyte);
    expect(received?.sentDatagrams).toBeLessThan(0.3 * datagramsPerMebibyte);
    for (const side of [sent, received]) {
      // Where the machine is busy, less is done in a turn, and there are more of them.
      const turns = side?.turns ?? Infinity;
      expect(side?.nativeCalls).toBeLessThan(1.5 * datagramsPerMebibyte + 16 * turns);
      expect(side?.turns).toBeLessThan(0.5 * datagramsPerMebibyte);
      expect(side?.timers).toBeLessThan(0.05 * datagramsPerMebibyte);
    }
  },
);

test("a reader that gives the memory of each chunk away at once is passed on all the same", async () => {
  const quiet = { keepAlive: millis(60_000), idleTimeout: millis(120_000) };
  const { client, server } = await connect(largestDatagramBytes, quiet);
  const { near, far } = await streamPair(client, server);
  const bytes = 16 * mebibyte;
  let got = 0;
  far.on("data", (chunk: Buffer) => {
    got += chunk.length;
    releaseBuffer(chunk);
  });
  near.write(Buffer.alloc(bytes));
  await waitUntil(() => got === bytes, { what: "all of it" });
});

test("a question and its answer cost one datagram each", async () => {
  const { client, server } = await connect(largestDatagramBytes);
  const { near, far } = await streamPair(client, server);
  far.on("data", (chunk: Buffer) => far.write(chunk));
  const rounds = 1_000;
  const cost = await costOf(client, rounds, async () => {
    for (let round = 0; round < rounds; round += 1) {
      near.write("?");
      await once(near, "data");
    }
  });
  // Where the machine is so busy that an answer takes 5 ms, some acknowledgements go alone.
  expect(cost.sentDatagrams).toBeLessThan(1.5);
  expect(cost.receivedDatagrams).toBeLessThan(1.5);
  expect(cost.nativeCalls).toBeLessThan(30);
  expect(cost.turns).toBeLessThan(3);
  expect(cost.timers).toBeLessThan(0.5);
});

test("the credit of a reader that goes on after a pause leaves at once, though nothing was received", async () => {
  const quiet = { keepAlive: millis(60_000), idleTimeout: millis(120_000) };
  const { client, server } = await connect(largestDatagramBytes, quiet);
  const { near, far } = await streamPair(client, server);
  near.write(Buffer.alloc(8 * mebibyte));
  for (let pause = 1; pause <= 3; pause += 1) {
    let sentBefore = -1;
    const isHeldUp = (): boolean => {
      const sent = client.counts.sentDatagrams;
      const stands = sent === sentBefore;
      sentBefore = sent;
      return stands && near.writableLength > 0;
    };
    await waitUntil(isHeldUp, { what: "the window to be full" });
    await within(readBytes(far, 2 * mebibyte), { limitMs: 4_000, what: "two MiB more" });
  }
});

test("streams that nobody reads cost the others nothing, and their resets are noticed", async () => {
  const { client, server } = await connect(largestDatagramBytes);
  const near: QuicStream[] = [];
  for (let count = 0; count < 1_000; count += 1) {
    const stream = await client.openStream();
    stream.write("nobody reads this");
    near.push(stream);
  }
  const far: QuicStream[] = [];
  for (const stream of near) {
    const taken = await next(server.streams);
    // As a reader does whose own peer does not keep pace.
    taken.on("error", () => undefined).once("readable", () => undefined);
    far.push(taken);
    stream.on("error", () => undefined);
  }
  const pair = await streamPair(client, server);
  const mebibytes = 32;
  const startMs = systemClock.now();
  const cost = await costOf(server, 1, () => transfer(pair, mebibytes * mebibyte));
  // Ten times a second some of them are looked at, however fast the transfer is.
  const sweeps = 1 + (systemClock.now() - startMs) / 100;
  expect(cost.nativeCalls).toBeLessThan(mebibytes * 5 * 65 + sweeps * 1_100);
  for (const stream of near) stream.destroy();
  await waitUntil(() => far.every((stream) => stream.destroyed), { what: "all resets" });
});
