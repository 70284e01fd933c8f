import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SackScoreboard, tellsOfDuplicate } from "./sack-scoreboard.ts";
import { wireSequence } from "./sequence.ts";

const initial = 0xffff_ff00;

function block(start: number, end: number): { start: number; end: number } {
  return { start: wireSequence(initial, start), end: wireSequence(initial, end) };
}

describe("the scoreboard of SACK (RFC 6675)", () => {
  test("knows what is held as a plain list of bytes would", () => {
    const range = fc.tuple(fc.nat(400), fc.integer({ min: 1, max: 60 }));
    fc.assert(
      fc.property(fc.array(range, { maxLength: 40 }), fc.nat(300), (ranges, acknowledged) => {
        const scoreboard = new SackScoreboard();
        const held = new Set<number>();
        for (const [start, length] of ranges) {
          const before = held.size;
          for (let at = start + 1; at < start + 1 + length; at += 1) held.add(at);
          const blocks = [block(start + 1, start + 1 + length)];
          const news = scoreboard.update(blocks, initial, 1, 1_000);
          const newCount = news.reduce((sum, { start: from, end: to }) => sum + to - from, 0);
          expect(newCount).toBe(held.size - before);
        }
        scoreboard.advance(acknowledged);
        for (let from = acknowledged; from < 500; from += 37) {
          const to = from + 50;
          const inside = [...held].filter((at) => at >= from && at < to);
          expect(scoreboard.heldBetween(from, to)).toBe(inside.length);
          const gap = scoreboard.gapAfter(from, to);
          let first = from;
          while (held.has(first)) first += 1;
          let last = first;
          while (last < to && !held.has(last)) last += 1;
          expect(gap).toEqual(first < to ? { start: first, end: last } : undefined);
        }
      }),
    );
  });

  test("tells what is new by rising position, whatever the order of the blocks", () => {
    const scoreboard = new SackScoreboard();
    const blocks = [block(60, 70), block(20, 30), block(40, 50)];
    expect(scoreboard.update(blocks, initial, 1, 100).map(({ start }) => start)).toEqual([
      20, 40, 60,
    ]);
    expect(scoreboard.update([block(15, 65)], initial, 1, 100)).toEqual([
      { start: 15, end: 20 },
      { start: 30, end: 40 },
      { start: 50, end: 60 },
    ]);
  });

  test("ignores blocks of what was never sent or is acknowledged, and empty ones", () => {
    const scoreboard = new SackScoreboard();
    const blocks = [block(90, 101), block(5, 15), block(50, 50), block(60, 55)];
    expect(scoreboard.update(blocks, initial, 10, 100)).toEqual([]);
    expect(scoreboard.isEmpty).toBe(true);
  });

  test("remembers no more than its bound of runs", () => {
    const scoreboard = new SackScoreboard();
    let held = 0;
    for (let at = 2; at < 4_000; at += 2) {
      held += scoreboard.update([block(at, at + 1)], initial, 1, 10_000).length;
    }
    expect(held).toBe(512);
  });

  test("forgets all when told to", () => {
    const scoreboard = new SackScoreboard();
    scoreboard.update([block(20, 60)], initial, 1, 100);
    scoreboard.clear();
    expect(scoreboard.isEmpty).toBe(true);
  });
});

describe("a report of something that came twice (RFC 2883 §4)", () => {
  test.each([
    ["is below what is acknowledged", [block(5, 10)], true],
    ["lies in the second block", [block(40, 50), block(30, 60)], true],
    ["is none beyond it", [block(40, 50), block(60, 70)], false],
    ["is none when it is empty", [block(9, 9)], false],
    ["is none without blocks", [], false],
  ])("%s", (_what, blocks, tells) => {
    expect(tellsOfDuplicate(blocks, initial, 20)).toBe(tells);
  });
});
