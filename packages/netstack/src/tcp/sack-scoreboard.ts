import type { SackBlock } from "../packet/index.ts";
import { positionNear } from "./sequence.ts";

/** A run of positions: from `start` up to, and without, `end`. */
export interface Range {
  start: number;
  end: number;
}

/**
 * What the peer says it holds beyond the acknowledged position (RFC 6675 §3). Bounded: runs beyond {@link maxRanges} are not remembered,
 * which costs a needless retransmission and nothing else.
 */
export class SackScoreboard {
  readonly #ranges: Range[] = [];

  /** Whether the peer holds anything out of order. */
  get isEmpty(): boolean {
    return this.#ranges.length === 0;
  }

  /**
   * Takes the blocks of an acknowledgement. Blocks that are not between `acknowledged` and `sentEnd` are ignored: old ones, D-SACK
   * (RFC 2883 §4) and nonsense alike. Returns what was not known to be held before, by rising position.
   */
  update(
    blocks: readonly SackBlock[],
    initial: number,
    acknowledged: number,
    sentEnd: number,
  ): Range[] {
    const news: Range[] = [];
    for (const block of blocks) {
      const start = positionNear(initial, block.start, acknowledged);
      const end = positionNear(initial, block.end, acknowledged);
      if (start < acknowledged || end <= start || end > sentEnd) continue;
      news.push(...this.#add(start, end));
    }
    return news.sort((one, other) => one.start - other.start);
  }

  /** Forgets what is before the acknowledged position. */
  advance(acknowledged: number): void {
    let whole = 0;
    for (const range of this.#ranges) {
      if (range.end > acknowledged) break;
      whole += 1;
    }
    if (whole > 0) this.#ranges.splice(0, whole);
    const first = this.#ranges[0];
    if (first !== undefined && first.start < acknowledged) first.start = acknowledged;
  }

  /** Forgets everything: the peer may have thrown away what it held (RFC 2018 §8). */
  clear(): void {
    this.#ranges.length = 0;
  }

  /** Bytes between two positions that the peer holds. */
  heldBetween(from: number, to: number): number {
    let held = 0;
    for (const range of this.#ranges) {
      if (range.start >= to) break;
      held += Math.max(0, Math.min(range.end, to) - Math.max(range.start, from));
    }
    return held;
  }

  /** The first gap at or after `from`, cut at `to`; undefined if the peer holds all of it. */
  gapAfter(from: number, to: number): Range | undefined {
    let start = from;
    for (const range of this.#ranges) {
      if (start >= to) return undefined;
      if (range.end <= start) continue;
      if (range.start > start) return { start, end: Math.min(range.start, to) };
      start = range.end;
    }
    return start < to ? { start, end: to } : undefined;
  }

  #add(start: number, end: number): Range[] {
    const ranges = this.#ranges;
    let index = ranges.length;
    while (index > 0 && (ranges[index - 1]?.end ?? 0) >= start) index -= 1;
    const merged = { start, end };
    const absorbed = ranges.slice(index).findIndex((range) => range.start > end);
    const count = absorbed === -1 ? ranges.length - index : absorbed;
    if (count === 0 && ranges.length >= maxRanges) return [];
    const news: Range[] = [];
    for (let from = start; from < end;) {
      const gap = this.gapAfter(from, end);
      if (gap === undefined) break;
      news.push(gap);
      from = gap.end;
    }
    if (news.length === 0) return news;
    for (const range of ranges.slice(index, index + count)) {
      merged.start = Math.min(merged.start, range.start);
      merged.end = Math.max(merged.end, range.end);
    }
    ranges.splice(index, count, merged);
    return news;
  }
}

/** Whether the first block is about something that came twice (D-SACK, RFC 2883 §4): it lies below the acknowledged, or in the second. */
export function tellsOfDuplicate(
  blocks: readonly SackBlock[],
  initial: number,
  acknowledged: number,
): boolean {
  const [first, second] = blocks.map(({ start, end }) => ({
    start: positionNear(initial, start, acknowledged),
    end: positionNear(initial, end, acknowledged),
  }));
  if (first === undefined || first.end <= first.start) return false;
  if (first.end <= acknowledged) return true;
  return second !== undefined && first.start >= second.start && first.end <= second.end;
}

const maxRanges = 512;
