import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { millis } from "@culvert/runtime";
import {
  BadNetwork,
  converse,
  farAddress,
  farPort,
  nearAddress,
  type Outcome,
} from "./bad-network.test-data.ts";
import type { TcpConnection } from "./index.ts";

const share = (most: number) =>
  fc.oneof(fc.constant(0), fc.double({ min: 0, max: most, noNaN: true }));
const mtu = fc.constantFrom(576, 1_500, 9_000, 65_535);

/** The misfortunes of the issue: each up to one packet in five. */
const network = fc.record({
  seed: fc.nat(0xffffffff),
  loss: share(0.2),
  duplication: share(0.2),
  delay: share(0.2),
  corruption: share(0.05),
  latencyMs: fc.constantFrom(0, 1, 10, 150),
  jitterMs: fc.constantFrom(1, 30, 400),
  nearMtu: mtu,
  farMtu: mtu,
  wraps: fc.boolean(),
  recut: share(0.2),
});
const end = fc.record({
  bytes: fc.oneof(fc.constant(0), fc.nat(3_000), fc.nat(300_000)),
  chunkBytes: fc.constantFrom(1_000, 7_777, 65_536, 300_000),
  digestMs: fc.constantFrom(0, 0, 0, 5, 200),
});
/** Which end waits for the other's FIN before it sends its own. */
const waiting = fc.constantFrom("neither", "near", "far");

describe("bytes between two stacks on a bad network", () => {
  test("arrive in order and whole, both ways, whoever ends first, or the connection fails", async () => {
    await fc.assert(
      fc.asyncProperty(network, end, end, waiting, async (conditions, near, far, waits) => {
        const world = new BadNetwork(conditions);
        const pair = await world.connect();
        if (pair === undefined) {
          expect(conditions.loss + conditions.corruption).toBeGreaterThan(0.1);
          return;
        }
        const { clock } = world;
        const [opened, accepted] = pair;
        // One that has nothing to send would never miss a peer whose reset was lost.
        for (const connection of pair) connection.setKeepAlive(millis(60_000));
        const outcomes = [
          converse(opened, { ...near, clock, seed: 1, endsLast: waits === "near" }, 2),
          converse(accepted, { ...far, clock, seed: 2, endsLast: waits === "far" }, 1),
        ] as const;
        const closed = await world.until(() => outcomes.every((each) => each.closed), 3_600_000);
        expect(closed, `both closed within an hour: ${JSON.stringify(outcomes)}`).toBe(true);
        expectWholeOrFailed(outcomes[0], far.bytes);
        expectWholeOrFailed(outcomes[1], near.bytes);
        // So little is lost that giving up is a fault of the stack, not of the network.
        if (conditions.loss + conditions.corruption <= 0.1) {
          expect(outcomes.map(({ error }) => error)).toEqual([undefined, undefined]);
        }
        await expectNothingLeft(world);
      }),
      { numRuns: 60 },
    );
  }, 120_000);

  test("never arrive after a reset, which ends the other side too", async () => {
    const resetAtMs = fc.nat(5_000);
    await fc.assert(
      fc.asyncProperty(network, resetAtMs, fc.boolean(), async (conditions, atMs, byNear) => {
        const world = new BadNetwork(conditions);
        const pair = await world.connect();
        if (pair === undefined) return;
        const { clock } = world;
        const behaviour = { clock, bytes: 2_000_000, chunkBytes: 65_536, digestMs: 20 };
        const outcomes = [
          converse(pair[0], { ...behaviour, seed: 1, endsLast: false }, 2),
          converse(pair[1], { ...behaviour, seed: 2, endsLast: false }, 1),
        ] as const;
        const [killer, survivor] = byNear ? pair : ([pair[1], pair[0]] as const);
        const [dead, left] = byNear ? outcomes : ([outcomes[1], outcomes[0]] as const);
        clock.setTimer(millis(atMs), () => killer.destroy());
        await world.until(() => dead.closed, 10_000, 10);
        const receivedAtDeath = dead.received;
        const heard = await world.until(() => {
          // One that only waits would hear nothing of a reset that was lost, so it goes on writing.
          if (survivor.writable && !survivor.writableNeedDrain) survivor.write("still there?");
          return left.closed;
        }, 3_600_000);
        expect(heard, `the other end closed: ${JSON.stringify(left)}`).toBe(true);
        expect(dead.received).toBe(receivedAtDeath);
        expect([dead.wrongAt, left.wrongAt]).toEqual([undefined, undefined]);
        if (!left.ended || left.received < behaviour.bytes) expect(left.error).toBeDefined();
        await expectNothingLeft(world);
      }),
      { numRuns: 25 },
    );
  }, 120_000);

  test("stop when the network does, and the connection with them, within its time", async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.nat(3_000), async (seed, cutAtMs) => {
        const world = new BadNetwork({ seed });
        const pair = await world.connect();
        if (pair === undefined) throw new Error("a good network refused a connection");
        const { clock } = world;
        const behaviour = { clock, bytes: 20_000_000, chunkBytes: 65_536, digestMs: 30 };
        const outcomes = [
          converse(pair[0], { ...behaviour, seed: 1, endsLast: false }, 2),
          converse(pair[1], { ...behaviour, seed: 2, endsLast: false }, 1),
        ] as const;
        clock.setTimer(millis(cutAtMs), () => (world.link.isCut = true));
        const closed = await world.until(() => outcomes.every((each) => each.closed), 600_000);
        expect(closed, JSON.stringify(outcomes)).toBe(true);
        expect(outcomes.map(({ error }) => error)).toEqual(["timeout", "timeout"]);
        expect(outcomes.map(({ wrongAt }) => wrongAt)).toEqual([undefined, undefined]);
        await expectNothingLeft(world);
      }),
      { numRuns: 15 },
    );
  }, 60_000);

  test("outlive a network that is gone for a while", async () => {
    const world = new BadNetwork({ seed: 5, loss: 0.01 });
    const [opened, accepted] = (await world.connect()) ?? [];
    if (opened === undefined || accepted === undefined) throw new Error("not connected");
    const { clock } = world;
    const behaviour = { clock, bytes: 500_000, chunkBytes: 65_536, digestMs: 0, endsLast: false };
    const outcomes = [
      converse(opened, { ...behaviour, seed: 1 }, 2),
      converse(accepted, { ...behaviour, seed: 2 }, 1),
    ] as const;
    await clock.advance(50);
    world.link.isCut = true;
    await clock.advance(45_000);
    world.link.isCut = false;
    await world.until(() => outcomes.every((each) => each.closed), 300_000);
    for (const outcome of outcomes) {
      expect(outcome).toMatchObject({ ended: true, error: undefined, received: 500_000 });
    }
    await expectNothingLeft(world);
  });

  test("wait for a reader who reads nothing, however long that takes", async () => {
    const world = new BadNetwork({ seed: 3, loss: 0.1 });
    const [opened, accepted] = (await world.connect()) ?? [];
    if (opened === undefined || accepted === undefined) throw new Error("not connected");
    const { clock } = world;
    const own = { clock, seed: 1, bytes: 20_000_000, chunkBytes: 65_536, digestMs: 0 };
    const sender = converse(opened, { ...own, endsLast: false }, 2);
    // An hour of probing a closed window must neither end the connection nor buffer without bound.
    await clock.advance(3_600_000);
    expect(sender).toMatchObject({ closed: false, error: undefined });
    expect(opened.writableNeedDrain).toBe(true);
    const reader = converse(accepted, { ...own, seed: 2, bytes: 0, endsLast: true }, 1);
    await world.until(() => reader.closed && sender.closed, 3_600_000);
    expect(reader).toMatchObject({ received: 20_000_000, ended: true, wrongAt: undefined });
    expect(sender).toMatchObject({ ended: true, error: undefined });
    await expectNothingLeft(world);
  }, 60_000);

  test("are timed by what arrived, not by how long a lost acknowledgement was waited for", async () => {
    const world = new BadNetwork({ seed: 4 });
    const [opened, accepted] = (await world.connect()) ?? [];
    if (opened === undefined || accepted === undefined) throw new Error("not connected");
    accepted.resume();
    opened.write(Buffer.alloc(1_000));
    const receive = world.link.near.onPacket;
    world.link.near.onPacket = undefined;
    await world.clock.advance(10_000);
    world.link.near.onPacket = receive;
    await world.clock.advance(10_000);
    expect(opened.stats()).toMatchObject({ unacknowledgedBytes: 0 });
    expect(opened.stats().retransmittedSegments).toBeGreaterThan(3);
    expect(opened.stats().rttMs).toBeLessThan(100);
  });

  test("are timed anew after a handshake whose last acknowledgement was lost for long", async () => {
    const world = new BadNetwork({ seed: 4 });
    const receive = world.link.far.onPacket;
    let count = 0;
    world.link.far.onPacket = (packet) => {
      count += 1;
      // The SYN, and nothing more for so long that its answer is repeated.
      if (count === 1 || world.clock.now() > 5_000) receive?.(packet);
    };
    const [opened, accepted] = (await world.connect()) ?? [];
    if (opened === undefined || accepted === undefined) throw new Error("not connected");
    expect(world.clock.now()).toBeGreaterThan(5_000);
    expect(accepted.stats().rttMs).toBeLessThan(100);
    // And so a loss right after it is mended within seconds.
    opened.resume();
    world.link.isCut = true;
    accepted.write(Buffer.alloc(1_000));
    await world.clock.advance(100);
    world.link.isCut = false;
    await world.clock.advance(5_000);
    expect(accepted.stats().unacknowledgedBytes).toBe(0);
  });

  test.each([
    ["fill a link that loses nothing", { loss: 0, bytesPerMs: 12_500 }, 0.75],
    [
      "use half of a link that loses one packet in a thousand",
      { loss: 0.001, bytesPerMs: 12_500 },
      0.45,
    ],
    // Ten segments in flight bear a loss in a hundred for a quarter of so short and slow a link, at the least.
    ["use a slow link that loses one in a hundred", { loss: 0.01, bytesPerMs: 1_250 }, 0.25],
  ])("%s", async (_, conditions, leastShare) => {
    const { bytesPerMs } = conditions;
    const world = new BadNetwork({
      seed: 5,
      latencyMs: 25,
      maxInFlight: 10_000,
      ...conditions,
    });
    const [opened, accepted] = (await world.connect()) ?? [];
    if (opened === undefined || accepted === undefined) throw new Error("not connected");
    const bytes = bytesPerMs * 1_600;
    const startMs = world.clock.now();
    const own = { clock: world.clock, chunkBytes: 65_536, digestMs: 0 };
    converse(opened, { ...own, seed: 1, bytes, endsLast: false }, 2);
    const reader = converse(accepted, { ...own, seed: 2, bytes: 0, endsLast: true }, 1);
    expect(await world.until(() => reader.ended, 60_000, 20)).toBe(true);
    expect(reader).toMatchObject({ received: bytes, wrongAt: undefined });
    const share = bytes / (world.clock.now() - startMs) / bytesPerMs;
    expect(share).toBeGreaterThan(leastShare);
  });

  test("flow between two that call each other at once", async () => {
    const world = new BadNetwork({ seed: 11 });
    const nearEnd = { address: nearAddress, port: 4_000 };
    const farEnd = { address: farAddress, port: farPort };
    const calls = Promise.all([
      world.near.connect(farEnd, { local: nearEnd }),
      world.far.connect(nearEnd, { local: farEnd }),
    ]);
    let pair: readonly [TcpConnection, TcpConnection] | undefined;
    void calls.then((both) => (pair = both));
    await world.until(() => pair !== undefined, 10_000, 10);
    if (pair === undefined) throw new Error("not connected");
    const own = { clock: world.clock, bytes: 100_000, chunkBytes: 9_999, digestMs: 0 };
    const outcomes = [
      converse(pair[0], { ...own, seed: 1, endsLast: false }, 2),
      converse(pair[1], { ...own, seed: 2, endsLast: false }, 1),
    ] as const;
    await world.until(() => outcomes.every((each) => each.closed), 300_000);
    for (const outcome of outcomes) expectWholeOrFailed(outcome, 100_000);
    expect(outcomes.map(({ error }) => error)).toEqual([undefined, undefined]);
    await expectNothingLeft(world);
  });
});

function expectWholeOrFailed(outcome: Outcome, bytes: number): void {
  expect(outcome.wrongAt, "the first wrong byte").toBeUndefined();
  if (outcome.ended) expect(outcome.received).toBe(bytes);
  else expect(outcome.error, JSON.stringify(outcome)).toBeDefined();
}

/** TIME_WAIT has an end, and leaves neither connections nor timers. */
async function expectNothingLeft(world: BadNetwork): Promise<void> {
  await world.clock.advance(300_000);
  expect(world.near.stats().tcp.connections, "connections left near").toBe(0);
  expect(world.far.stats().tcp.connections, "connections left far").toBe(0);
  expect(world.clock.pendingTimers, "timers left").toBe(0);
}
