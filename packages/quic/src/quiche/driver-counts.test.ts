import { once } from "node:events";
import { afterEach, expect, test } from "vitest";
import { generateIdentity } from "@culvert/identity";
import {
  millis,
  releaseBuffer,
  Scope,
  systemClock,
  systemRandom,
  type Clock,
} from "@culvert/runtime";
import { readBytes, readPayload, waitUntil, within, writePayload } from "@culvert/testkit";
import {
  createQuicheEngine,
  largestDatagramBytes,
  quicDefaults,
  type QuicConnection,
  type QuicSettings,
  type QuicStream,
} from "../index.ts";
import { countBufferTraffic } from "./buffer-traffic.test-data.ts";
import type { DriverCounts } from "./driver-counts.ts";
import { QuicheConnection } from "./quiche-connection.ts";

let armedTimers = 0;
const clock: Clock = {
  now: () => systemClock.now(),
  wallNowMs: () => systemClock.wallNowMs(),
  setTimer(delay, callback, options) {
    armedTimers += 1;
    return systemClock.setTimer(delay, callback, options);
  },
};
const deps = { clock, random: systemRandom, warn: () => undefined };
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

// Both ends run in this process, so that what one sends in a turn the other finds together: the counts hardly depend on the machine.
// Each bound has room for what a busy one adds, and none for a turn, a timer or a call for each datagram.
test.each([
  {
    ...{ datagramBytes: largestDatagramBytes, mebibytes: 64 },
    // 65 are full; of turns there are 4.3, of answers 4.2, of timers 0.4 to 1.2.
    most: { datagrams: 71.5, answers: 12, turns: 12, timers: 3 },
  },
  {
    ...{ datagramBytes: 1350, mebibytes: 16 },
    // 806 are full; of turns there are 26, of answers 26, of timers 2 to 6.
    most: { datagrams: 860, answers: 38, turns: 38, timers: 16 },
  },
])(
  "what a MiB costs is bounded, in datagrams of $datagramBytes bytes",
  async ({ datagramBytes, mebibytes, most }) => {
    const { client, server } = await connect(datagramBytes);
    const pair = await streamPair(client, server);
    const timersBefore = armedTimers;
    let received: DriverCounts | undefined;
    const sent = await costOf(client, mebibytes, async () => {
      received = await costOf(server, mebibytes, () => transfer(pair, mebibytes * mebibyte));
    });
    expect(sent.sentDatagrams).toBeLessThan(most.datagrams);
    expect(received?.sentDatagrams).toBeLessThan(most.answers);
    // Of both ends, whoever armed them.
    expect((armedTimers - timersBefore) / mebibytes).toBeLessThan(2 * most.timers);
    for (const side of [sent, received]) {
      // Where the machine is busy, less is done in a turn, and there are more of them.
      const turns = side?.turns ?? Infinity;
      expect(side?.nativeCalls).toBeLessThan(1.2 * most.datagrams + 16 * turns);
      expect(turns).toBeLessThan(most.turns);
      expect(side?.timers).toBeLessThan(most.timers);
    }
  },
);

test("what is sent is never copied, and what is received into one buffer for each 64 KiB", async () => {
  const { client, server } = await connect(largestDatagramBytes);
  const { near, far } = await streamPair(client, server);
  const mebibytes = 64;
  let got = 0;
  far.on("data", (chunk: Buffer) => (got += chunk.length));
  const chunk = Buffer.alloc(mebibyte);
  const traffic = countBufferTraffic();
  try {
    for (let sent = 0; sent < mebibytes; sent += 1) {
      if (!near.write(chunk)) await within(once(near, "drain"), { limitMs: 5_000, what: "room" });
    }
    await waitUntil(() => got === mebibytes * mebibyte, { what: "all of it" });
  } finally {
    traffic.stop();
  }
  const { madeBytes, copiedBytes } = traffic.sum;
  expect(madeBytes / mebibyte / mebibytes).toBeLessThan(1.2);
  // Only the last of what arrived together, where it is less than the buffer.
  expect(copiedBytes / mebibyte / mebibytes).toBeLessThan(0.5);
});

test("small writes of one turn share a datagram", async () => {
  const { client, server } = await connect(largestDatagramBytes);
  const { near, far } = await streamPair(client, server);
  far.on("data", (chunk: Buffer) => far.write(chunk));
  const rounds = 100;
  const cost = await costOf(client, rounds, async () => {
    for (let round = 0; round < rounds; round += 1) {
      for (let count = 0; count < 50; count += 1) near.write(Buffer.alloc(100));
      await within(readBytes(near, 5_000), { what: "all of it back" });
    }
  });
  expect(cost.sentDatagrams).toBeLessThan(2);
  expect(cost.nativeCalls).toBeLessThan(250);
});

test("the window of a stream grows while its reader keeps pace", async () => {
  const { client, server } = await connect(largestDatagramBytes);
  const { near, far } = await streamPair(client, server);
  let got = 0;
  const read = (chunk: Buffer): void => void (got += chunk.length);
  far.on("data", read);
  near.write(Buffer.alloc(64 * mebibyte));
  await waitUntil(() => got === 64 * mebibyte, { limitMs: 15_000, what: "all of it" });
  far.off("data", read);
  far.pause();
  const before = client.stats().sentBytes;
  near.write(Buffer.alloc(32 * mebibyte));
  // Twice what a new stream may send unread.
  const grown = (): boolean => client.stats().sentBytes - before > 4 * mebibyte;
  await waitUntil(grown, { what: "more unread than a new stream may send" });
});

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
  const rounds = 100;
  const ask = async (): Promise<void> => {
    for (let round = 0; round < rounds; round += 1) {
      near.write("?");
      await once(near, "data");
    }
  };
  const batches: DriverCounts[] = [];
  while (batches.length < 10) batches.push(await costOf(client, rounds, ask));
  // Where the machine is so busy that an answer takes 5 ms, some acknowledgements go alone.
  const mean = (name: keyof DriverCounts): number =>
    batches.reduce((sum, batch) => sum + batch[name], 0) / batches.length;
  expect(mean("sentDatagrams")).toBeLessThan(1.5);
  expect(mean("receivedDatagrams")).toBeLessThan(1.5);
  expect(mean("nativeCalls")).toBeLessThan(30);
  expect(mean("turns")).toBeLessThan(3);
  // One that puts off an acknowledgement runs for 5 ms, however many are put off meanwhile. There is one for each answer only where
  // the machine is so busy, and seldom for all of the time.
  expect(Math.min(...batches.map(({ timers }) => timers))).toBeLessThan(0.5);
});

test("of an idle connection one end asks and the other answers, with a datagram each and no timer for it", async () => {
  const keepAlive = millis(200);
  const { client, server } = await connect(largestDatagramBytes, { keepAlive });
  const startMs = systemClock.now();
  const start = { near: { ...client.counts }, far: { ...server.counts } };
  const sent = (): number => client.counts.sentDatagrams - start.near.sentDatagrams;
  await waitUntil(() => sent() >= 12, { limitMs: 15_000, what: "twelve datagrams" });
  const silences = 1 + (systemClock.now() - startMs) / keepAlive;
  expect(sent()).toBeLessThan(1.5 * silences);
  expect(server.counts.sentDatagrams - start.far.sentDatagrams).toBeLessThan(1.5 * silences);
  expect(server.counts.timers - start.far.timers).toBeLessThan(2 * silences);
  expect(server.counts.turns - start.far.turns).toBeLessThan(3 * silences);
  expect(client.counts.turns - start.near.turns).toBeLessThan(3.5 * silences);
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
