import type { SackBlock } from "../packet/index.ts";
import { wireSequence } from "./sequence.ts";

interface Run {
  start: number;
  end: number;
  chunks: Uint8Array[];
  /** Greater is later: which run the latest segment went into. */
  stamp: number;
}

/**
 * Segments that arrived before their predecessors (RFC 9293 §3.10.7.4, RFC 2018 §4). The caller keeps their bytes within the
 * receive window; runs and pieces have bounds of their own, beyond which a segment is refused and must be sent again.
 */
export class Reassembly {
  readonly #runs: Run[] = [];
  readonly #limits: ReassemblyLimits;
  #bytes = 0;
  #pieces = 0;
  #stamp = 0;

  constructor(limits: ReassemblyLimits = defaultLimits) {
    this.#limits = limits;
  }

  get isEmpty(): boolean {
    return this.#runs.length === 0;
  }

  /** Bytes held. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Takes what is new of the bytes at `start`. Returns false if a bound refused some of it. */
  insert(start: number, bytes: Uint8Array): boolean {
    const end = start + bytes.length;
    this.#stamp += 1;
    let position = start;
    const index = this.#firstTouching(start);
    while (position < end) {
      const run = this.#runs[index];
      if (run !== undefined && run.end === position) {
        // Grows this run up to the next one, or to the end.
        const stop = Math.min(end, this.#runs[index + 1]?.start ?? end);
        if (stop > position) {
          if (this.#pieces >= this.#limits.pieces) return false;
          run.chunks.push(this.#piece(bytes, position - start, stop - start));
          run.end = stop;
        }
        run.stamp = this.#stamp;
        position = stop;
        if (this.#mergeWithNext(index)) position = run.end;
      } else if (run !== undefined && run.start <= position) {
        run.stamp = this.#stamp;
        position = run.end;
      } else {
        // A new, still empty run in front of what comes next; the next turn of the loop fills it.
        if (this.#runs.length >= this.#limits.runs) return false;
        if (this.#pieces >= this.#limits.pieces) return false;
        const fresh = { start: position, end: position, chunks: [], stamp: this.#stamp };
        this.#runs.splice(index, 0, fresh);
      }
    }
    return true;
  }

  /** Takes out the bytes that begin at `position`, if any are held: the gap before them is filled. */
  take(position: number): Uint8Array[] {
    this.#dropBefore(position);
    const first = this.#runs[0];
    if (first?.start !== position) return nothing;
    this.#runs.shift();
    this.#bytes -= first.end - first.start;
    this.#pieces -= first.chunks.length;
    return first.chunks;
  }

  /** The position of the first byte held; undefined if there is none. */
  get firstStart(): number | undefined {
    return this.#runs[0]?.start;
  }

  /** What is held, for the SACK option: the run of the latest segment first (RFC 2018 §4), at most `most` blocks. */
  blocks(initial: number, most: number): SackBlock[] {
    const chosen: Run[] = [];
    for (const run of this.#runs) {
      let place = chosen.length;
      while (place > 0 && (chosen[place - 1]?.stamp ?? 0) < run.stamp) place -= 1;
      if (place >= most) continue;
      chosen.splice(place, 0, run);
      if (chosen.length > most) chosen.pop();
    }
    return chosen.map(({ start, end }) => ({
      start: wireSequence(initial, start),
      end: wireSequence(initial, end),
    }));
  }

  clear(): void {
    this.#runs.length = 0;
    this.#bytes = 0;
    this.#pieces = 0;
  }

  /** The index of the first run that ends at or after `position`. */
  #firstTouching(position: number): number {
    let low = 0;
    let high = this.#runs.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#runs[middle]?.end ?? 0) < position) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #mergeWithNext(index: number): boolean {
    const run = this.#runs[index];
    const next = this.#runs[index + 1];
    if (run === undefined || next === undefined || next.start !== run.end) return false;
    for (const chunk of next.chunks) run.chunks.push(chunk);
    run.end = next.end;
    this.#runs.splice(index + 1, 1);
    return true;
  }

  #piece(bytes: Uint8Array, from: number, to: number): Uint8Array {
    this.#pieces += 1;
    this.#bytes += to - from;
    const view = from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to);
    // A small piece must not keep the memory of a large packet, which nobody has counted.
    return view.buffer.byteLength > view.length + worthlessBytes ? Uint8Array.from(view) : view;
  }

  #dropBefore(position: number): void {
    for (let first = this.#runs[0]; first !== undefined; first = this.#runs[0]) {
      if (first.start >= position) return;
      if (first.end <= position) {
        this.#runs.shift();
        this.#bytes -= first.end - first.start;
        this.#pieces -= first.chunks.length;
        continue;
      }
      const chunk = first.chunks[0] ?? new Uint8Array(0);
      const cut = Math.min(chunk.length, position - first.start);
      if (cut === chunk.length) {
        first.chunks.shift();
        this.#pieces -= 1;
      } else first.chunks[0] = chunk.subarray(cut);
      first.start += cut;
      this.#bytes -= cut;
    }
  }
}

/** Bounds of {@link Reassembly}. */
export interface ReassemblyLimits {
  /** Runs with gaps between them. */
  readonly runs: number;
  /** Segments held. */
  readonly pieces: number;
}

const defaultLimits: ReassemblyLimits = { runs: 256, pieces: 4_096 };
/** How much more memory than its bytes a piece may keep. */
const worthlessBytes = 1_024;
const nothing: Uint8Array[] = [];
