import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SackScoreboard } from "./sack-scoreboard.ts";
import { wireSequence } from "./sequence.ts";

const initial = 0xffff_ff00;
const mss = 10;

function block(start: number, end: number): { start: number; end: number } {
  return { start: wireSequence(initial, start), end: wireSequence(initial, end) };
}

describe("the scoreboard of SACK (RFC 6675)", () => {
  test("knows what is held as a plain list of bytes would", () => {
    const range = fc.tuple(fc.nat(400), fc.integer({ min: 1, max: 60 }));
    fc.assert(
      fc.property(fc.array(range, { maxLength: 40 }), fc.nat(300), (ranges, acknowledged) => {
        const scoreboard = new SackScoreboard(mss);
        const held = new Set<number>();
        for (const [start, length] of ranges) {
          const before = held.size;
          for (let at = start + 1; at < start + 1 + length; at += 1) held.add(at);
          const blocks = [block(start + 1, start + 1 + length)];
          expect(scoreboard.update(blocks, initial, 1, 1_000)).toBe(held.size - before);
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

  test("counts as lost what has three runs beyond it", () => {
    const scoreboard = new SackScoreboard(mss);
    scoreboard.update([block(20, 21), block(30, 31)], initial, 1, 100);
    expect(scoreboard.lostEdge).toBe(0);
    scoreboard.update([block(40, 41)], initial, 1, 100);
    expect(scoreboard.lostEdge).toBe(20);
  });

  test("counts as lost what has more than two segments beyond it", () => {
    const scoreboard = new SackScoreboard(mss);
    scoreboard.update([block(20, 40)], initial, 1, 100);
    expect(scoreboard.lostEdge).toBe(0);
    scoreboard.update([block(40, 41)], initial, 1, 100);
    expect(scoreboard.lostEdge).toBe(20);
  });

  test("ignores blocks of what was never sent or is acknowledged, and empty ones", () => {
    const scoreboard = new SackScoreboard(mss);
    const blocks = [block(90, 101), block(5, 15), block(50, 50), block(60, 55)];
    expect(scoreboard.update(blocks, initial, 10, 100)).toBe(0);
    expect(scoreboard.isEmpty).toBe(true);
  });

  test("remembers no more than its bound of runs", () => {
    const scoreboard = new SackScoreboard(mss);
    let held = 0;
    for (let at = 2; at < 4_000; at += 2) {
      held += scoreboard.update([block(at, at + 1)], initial, 1, 10_000);
    }
    expect(held).toBe(512);
  });

  test("forgets all when told to", () => {
    const scoreboard = new SackScoreboard(mss);
    scoreboard.update([block(20, 60)], initial, 1, 100);
    scoreboard.clear();
    expect([scoreboard.isEmpty, scoreboard.lostEdge, scoreboard.highestEnd]).toEqual([true, 0, 0]);
  });
});
