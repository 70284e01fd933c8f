import { describe, expect, test } from "vitest";
import { PacketLink, type PacketLinkOptions } from "./packet-link.ts";
import { seededRandom } from "./seeded-random.ts";
import { VirtualClock } from "./virtual-clock.ts";

describe("a link of packets", () => {
  test("brings packets to the other end, in order, after its latency", async () => {
    const { link, clock, arrived } = setUp({ latencyMs: 7 });
    link.near.send(Uint8Array.of(1));
    link.near.send(Uint8Array.of(2));
    link.far.send(Uint8Array.of(3));
    await clock.advance(6);
    expect(arrived).toEqual([]);
    await clock.advance(1);
    expect(arrived).toEqual(["far 1 at 7", "far 2 at 7", "near 3 at 7"]);
  });

  test("loses, doubles, delays and damages about the shares it was told", async () => {
    const shares = { loss: 0.2, duplication: 0.1, delay: 0.05, corruption: 0.02 };
    const { link, clock } = setUp({ ...shares, maxInFlight: Infinity });
    for (let count = 0; count < 2_000; count++) link.near.send(new Uint8Array(4));
    await clock.advance(100);
    const { lost, duplicated, delayed, corrupted, delivered } = link.counters;
    expect(lost / 2_000).toBeCloseTo(0.2, 1);
    expect(duplicated / 1_600).toBeCloseTo(0.1, 1);
    expect(delayed / 1_600).toBeCloseTo(0.05, 1);
    expect(corrupted).toBeGreaterThan(10);
    expect(delivered).toBe(2_000 - lost + duplicated);
  });

  test("lets packets overtake a delayed one", async () => {
    const { link, clock, arrived } = setUp({ delay: 0.5 });
    for (let count = 0; count < 20; count++) link.near.send(Uint8Array.of(count));
    await clock.advance(100);
    const order = arrived.map((line) => Number(/far (\d+)/.exec(line)?.[1]));
    expect(order).not.toEqual([...order].sort((a, b) => a - b));
    expect(new Set(order).size).toBe(20);
  });

  test("replays the same for the same seed", async () => {
    const runs = [];
    for (let run = 0; run < 2; run++) {
      const { link, clock, arrived } = setUp({ loss: 0.3, delay: 0.3, duplication: 0.3 });
      for (let count = 0; count < 50; count++) link.near.send(Uint8Array.of(count));
      await clock.advance(100);
      runs.push(arrived);
    }
    expect(runs[0]).toEqual(runs[1]);
  });

  test("has a rate, and a bound on what is on the way", async () => {
    const { link, clock, arrived } = setUp({ latencyMs: 0, bytesPerMs: 10, maxInFlight: 2 });
    for (let count = 0; count < 3; count++) link.near.send(new Uint8Array(100));
    await clock.advance(100);
    expect(arrived).toEqual(["far 0 at 10", "far 0 at 20"]);
    expect(link.counters.overflowed).toBe(1);
  });

  test("can be cut and mended", async () => {
    const { link, clock, arrived } = setUp({});
    link.isCut = true;
    link.near.send(Uint8Array.of(1));
    link.isCut = false;
    link.near.send(Uint8Array.of(2));
    await clock.advance(100);
    expect(arrived).toEqual(["far 2 at 10"]);
  });
});

function setUp(options: Omit<PacketLinkOptions, "clock" | "random">) {
  const clock = new VirtualClock();
  const link = new PacketLink({ clock, random: seededRandom(7), ...options });
  const arrived: string[] = [];
  for (const side of ["near", "far"] as const) {
    link[side].onPacket = ([first]) => arrived.push(`${side} ${String(first)} at ${clock.now()}`);
  }
  return { link, clock, arrived };
}
