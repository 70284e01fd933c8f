import type { SackBlock } from "../packet/index.ts";
import { positionNear } from "./sequence.ts";

/** A run of positions: from `start` up to, and without, `end`. */
export interface Range {
  start: number;
  end: number;
}

/**
 * What the peer says it holds beyond the acknowledged position, and what follows from that about losses (RFC 6675 §3, §4).
 * Bounded: runs beyond {@link maxRanges} are not remembered, which costs a needless retransmission and nothing else.
 */
export class SackScoreboard {
  readonly #segmentBytes: number;
  readonly #ranges: Range[] = [];
  #lostEdge = 0;

  constructor(segmentBytes: number) {
    this.#segmentBytes = segmentBytes;
  }

  /** Whether the peer holds anything out of order. */
  get isEmpty(): boolean {
    return this.#ranges.length === 0;
  }

  /** The position after the last one that the peer holds; 0 if it holds none. */
  get highestEnd(): number {
    return this.#ranges.at(-1)?.end ?? 0;
  }

  /**
   * Everything before this position that the peer does not hold counts as lost: three runs, or more than two full segments, have
   * arrived beyond it (IsLost of RFC 6675 §4).
   */
  get lostEdge(): number {
    return this.#lostEdge;
  }

  /**
   * Takes the blocks of an acknowledgement. Blocks that are not between `acknowledged` and `sentEnd` are ignored: old ones, D-SACK
   * (RFC 2883 §4) and nonsense alike. Returns how many bytes were not known to be held before.
   */
  update(
    blocks: readonly SackBlock[],
    initial: number,
    acknowledged: number,
    sentEnd: number,
  ): number {
    let newBytes = 0;
    for (const block of blocks) {
      const start = positionNear(initial, block.start, acknowledged);
      const end = positionNear(initial, block.end, acknowledged);
      if (start < acknowledged || end <= start || end > sentEnd) continue;
      newBytes += this.#add(start, end);
    }
    if (newBytes > 0) this.#findLosses();
    return newBytes;
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
    if (this.#ranges.length === 0) this.#lostEdge = 0;
  }

  /** Forgets everything: the peer may have thrown away what it held (RFC 2018 §8). */
  clear(): void {
    this.#ranges.length = 0;
    this.#lostEdge = 0;
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

  #add(start: number, end: number): number {
    const ranges = this.#ranges;
    let index = ranges.length;
    while (index > 0 && (ranges[index - 1]?.end ?? 0) >= start) index -= 1;
    let absorbed = 0;
    let held = 0;
    const merged = { start, end };
    for (let at = index; at < ranges.length; at += 1) {
      const range = ranges[at];
      if (range === undefined || range.start > end) break;
      held += Math.max(0, Math.min(range.end, end) - Math.max(range.start, start));
      merged.start = Math.min(merged.start, range.start);
      merged.end = Math.max(merged.end, range.end);
      absorbed += 1;
    }
    if (absorbed === 0 && ranges.length >= maxRanges) return 0;
    ranges.splice(index, absorbed, merged);
    return end - start - held;
  }

  #findLosses(): void {
    let bytes = 0;
    let runs = 0;
    for (let index = this.#ranges.length - 1; index >= 0; index -= 1) {
      const range = this.#ranges[index];
      if (range === undefined) break;
      runs += 1;
      bytes += range.end - range.start;
      if (runs >= duplicateThreshold || bytes > (duplicateThreshold - 1) * this.#segmentBytes) {
        this.#lostEdge = Math.max(this.#lostEdge, range.start);
        return;
      }
    }
  }
}

/** DupThresh of RFC 6675 §2 and RFC 5681 §3.2. */
export const duplicateThreshold = 3;
const maxRanges = 512;
