import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { seededRandom, VirtualClock } from "@culvert/testkit";
import { BadNetwork, converse, farAddress, farPort } from "./bad-network.test-data.ts";
import { Netstack, type TcpConnection } from "./index.ts";
import {
  checksumOf,
  decodeIpv4,
  decodeTcp,
  encodeTcp,
  parseIpv4Address,
  pseudoHeaderSum,
  foldSum,
  sumBytes,
  tcpFlag,
  type TcpHeader,
} from "./packet/index.ts";

const ownAddress = "10.77.0.1";
const own = parseIpv4Address(ownAddress) ?? 0;
const foreign = parseIpv4Address("10.77.0.9") ?? 0;

describe("a stack under attack", () => {
  test("takes any bytes for a packet without an exception, and answers at most one to one", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 90 }), { maxLength: 20 }), (packets) => {
        const { stack, sent } = listener();
        for (const packet of packets) stack.receive(packet);
        expect(sent.length).toBeLessThanOrEqual(packets.length);
      }),
    );
  });

  test("takes any segment with good checksums, and ends with nothing left", async () => {
    const segment = fc.record({
      sourcePort: fc.constantFrom(1000, 1001),
      destinationPort: fc.constantFrom(7, 8),
      sequence: fc.oneof(fc.constantFrom(0, 1, 2, 0xffffffff), fc.nat(0xffffffff)),
      acknowledgment: fc.oneof(fc.constantFrom(0, 1), fc.nat(0xffffffff)),
      flags: fc.nat(0xff),
      window: fc.nat(0xffff),
      payload: fc.uint8Array({ maxLength: 50 }),
      options: fc.record({
        mss: fc.option(fc.nat(0xffff), { nil: undefined }),
        windowScale: fc.option(fc.nat(255), { nil: undefined }),
        sackPermitted: fc.constantFrom(true, undefined),
        timestamps: fc.option(fc.record({ value: fc.nat(0xffffffff), echo: fc.nat(0xffffffff) }), {
          nil: undefined,
        }),
      }),
      /** Replaces the acknowledgement by the right one, where the stack sent something before. */
      knowing: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(segment, { maxLength: 30 }), async (segments) => {
        const { stack, sent, clock } = listener();
        for (const { payload, knowing, ...header } of segments) {
          const last = sent.at(-1);
          const known = knowing && last !== undefined ? answerTo(last) : {};
          stack.receive(
            encodeTcp({ source: foreign, destination: own }, { ...header, ...known }, [payload]),
          );
          await clock.advance(1);
        }
        await clock.advance(600_000);
        stack.close({ by: "us", code: "test_over", text: "" });
        await clock.advance(600_000);
        expect(stack.stats().tcp.connections).toBe(0);
        expect(clock.pendingTimers).toBe(0);
      }),
      { numRuns: 200 },
    );
  }, 60_000);

  test("takes the packets of a conversation damaged, with good checksums again, without an exception", async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.integer({ min: 1, max: 200 }), async (seed, oneIn) => {
        const world = new BadNetwork({ seed });
        const random = seededRandom(seed);
        const pair = await world.connect();
        if (pair === undefined) throw new Error("not connected");
        for (const side of ["near", "far"] as const) {
          const receive = world.link[side].onPacket;
          world.link[side].onPacket = (packet) => {
            if (random.fraction() * oneIn < 1) damage(packet, random.fraction());
            receive?.(packet);
          };
        }
        const { clock } = world;
        const behaviour = { clock, bytes: 200_000, chunkBytes: 20_000, digestMs: 1 };
        const outcomes = [
          converse(pair[0], { ...behaviour, seed: 1, endsLast: false }, 2),
          converse(pair[1], { ...behaviour, seed: 2, endsLast: false }, 1),
        ];
        await clock.advance(20_000);
        pair[0].destroy();
        pair[1].destroy();
        await world.until(() => outcomes.every(({ closed }) => closed), 1_000);
        await clock.advance(600_000);
        expect(world.near.stats().tcp.connections + world.far.stats().tcp.connections).toBe(0);
        expect(clock.pendingTimers).toBe(0);
        expect(world.link.counters.sent).toBeLessThan(100_000);
      }),
      { numRuns: 40 },
    );
  }, 60_000);

  test.each([
    ["resets", tcpFlag.rst],
    ["resets with ACK", tcpFlag.rst | tcpFlag.ack],
    ["SYNs", tcpFlag.syn],
    ["FINs", tcpFlag.fin | tcpFlag.ack],
    ["bytes", tcpFlag.ack | tcpFlag.psh],
  ])("keeps a connection whose numbers the sender of %s does not know", async (_, flags) => {
    const world = new BadNetwork({ seed: 21 });
    const pair = await world.connect();
    if (pair === undefined) throw new Error("not connected");
    const { clock } = world;
    const behaviour = { clock, bytes: 300_000, chunkBytes: 20_000, digestMs: 1 };
    const outcomes = [
      converse(pair[0], { ...behaviour, seed: 1, endsLast: false }, 2),
      converse(pair[1], { ...behaviour, seed: 2, endsLast: false }, 1),
    ];
    const random = seededRandom(4);
    const guess = (): number => Math.floor(random.fraction() * 2 ** 32);
    for (let count = 0; count < 200; count += 1) {
      const forged = encodeTcp(
        { source: own, destination: parseIpv4Address(farAddress) ?? 0 },
        {
          sourcePort: pair[0].local.port,
          destinationPort: farPort,
          sequence: guess(),
          acknowledgment: guess(),
          flags,
          window: 1,
          options: { timestamps: { value: guess(), echo: guess() } },
        },
        (flags & tcpFlag.psh) === 0 ? [] : [Buffer.from("forged")],
      );
      world.far.receive(forged);
      await clock.advance(1);
    }
    await world.until(() => outcomes.every(({ closed }) => closed), 60_000);
    for (const outcome of outcomes) {
      expect(outcome).toMatchObject({ received: 300_000, ended: true, error: undefined });
      expect(outcome.wrongAt).toBeUndefined();
    }
  });

  test("bounds what a flood of SYNs costs, and takes connections after it", async () => {
    const world = new BadNetwork({ seed: 8 });
    world.far.listen({ port: 9 }, { backlog: 16 }, (connection) =>
      connection.on("error", () => undefined),
    );
    let answers = 0;
    world.link.near.onPacket = () => (answers += 1);
    for (let count = 0; count < 5_000; count += 1) {
      const syn = { ...bareSyn, sourcePort: 1024 + count, destinationPort: 9, sequence: count };
      world.far.receive(
        encodeTcp({ source: foreign + count, destination: parseIpv4Address(farAddress) ?? 0 }, syn),
      );
    }
    await world.clock.advance(20);
    expect(world.far.stats().tcp.connections).toBeLessThanOrEqual(16);
    expect(answers).toBeLessThanOrEqual(16);
    await world.clock.advance(120_000);
    expect(world.far.stats().tcp.connections).toBe(0);
    world.link.near.onPacket = (packet) => world.near.receive(packet);
    const connection: Promise<TcpConnection> = world.near.connect({ address: farAddress, port: 9 });
    await world.clock.advance(1_000);
    (await connection).destroy();
  });
});

const bareSyn: TcpHeader = {
  sourcePort: 1,
  destinationPort: 1,
  sequence: 0,
  acknowledgment: 0,
  flags: tcpFlag.syn,
  window: 1_000,
};

/** A stack with a listener that answers with a few bytes and echoes what it gets. */
function listener() {
  const clock = new VirtualClock();
  const sent: Uint8Array[] = [];
  const stack = new Netstack({
    clock,
    random: seededRandom(3),
    addresses: [ownAddress],
    output: (packet) => sent.push(packet),
  });
  stack.listen({ port: 7 }, { backlog: 4 }, (connection) => {
    connection.on("error", () => undefined);
    connection.write("hello");
    connection.pipe(connection);
  });
  return { stack, sent, clock };
}

/** The numbers that continue what the stack sent. */
function answerTo(packet: Uint8Array): Partial<TcpHeader> {
  const ip = decodeIpv4(packet);
  const segment = typeof ip === "string" ? ip : decodeTcp(ip);
  if (typeof segment === "string") return {};
  const isSyn = (segment.flags & tcpFlag.syn) !== 0;
  return {
    sourcePort: segment.destinationPort,
    destinationPort: segment.sourcePort,
    sequence: segment.acknowledgment,
    acknowledgment: (segment.sequence + segment.payload.length + (isSyn ? 1 : 0)) >>> 0,
  };
}

/** Changes a byte of a TCP header, and makes the checksum right again. */
function damage(packet: Uint8Array, fraction: number): void {
  const at = 20 + Math.floor(fraction * 32);
  if (at >= packet.length || at === 36 || at === 37) return;
  packet[at] = (packet[at] ?? 0) ^ (1 << Math.floor((fraction * 1_000) % 8));
  packet[36] = 0;
  packet[37] = 0;
  const view = new DataView(packet.buffer, packet.byteOffset, packet.length);
  const pseudo = pseudoHeaderSum(view.getUint32(12), view.getUint32(16), 6, packet.length - 20);
  view.setUint16(36, checksumOf(foldSum(pseudo + sumBytes(packet, 20))));
}
