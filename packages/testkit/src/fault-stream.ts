import { Transform, type TransformCallback } from "node:stream";
import { millis, TransportError, type Clock, type Millis, type Timer } from "@culvert/runtime";
import type { Random } from "@culvert/runtime";

/** What a {@link FaultStream} does to the bytes that pass it. */
export interface Faults {
  /** After so many bytes the stream fails with TransportError `stream_reset`; what exceeds them is lost. */
  readonly dropAfterBytes?: number;
  /** Cuts chunks so that none is longer: a number, or up to `maxBytes` by chance. */
  readonly split?: number | { readonly maxBytes: number; readonly random: Random };
  /** Each chunk is passed on this much later than the one before it. */
  readonly delay?: { readonly each: Millis; readonly clock: Clock };
}

/** A pipe that cuts, delays and breaks what passes it, at an exact byte. One direction; `dropAfterBytes` counts what got through. */
export class FaultStream extends Transform {
  readonly #faults: Faults;
  #passedBytes = 0;
  #timer: Timer | undefined;

  constructor(faults: Faults) {
    super();
    this.#faults = faults;
  }

  /** Bytes passed on so far. */
  get passedBytes(): number {
    return this.#passedBytes;
  }

  override _transform(chunk: Buffer, _encoding: string, done: TransformCallback): void {
    const { delay } = this.#faults;
    if (delay === undefined) {
      this.#passOn(chunk, done);
      return;
    }
    this.#timer = delay.clock.setTimer(millis(delay.each), () => this.#passOn(chunk, done));
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#timer?.cancel();
    done(error);
  }

  #passOn(chunk: Buffer, done: TransformCallback): void {
    const limit = this.#faults.dropAfterBytes ?? Infinity;
    let left = chunk.subarray(0, Math.max(0, limit - this.#passedBytes));
    const lost = left.length < chunk.length;
    while (left.length > 0) {
      const part = left.subarray(0, this.#partBytes());
      left = left.subarray(part.length);
      this.#passedBytes += part.length;
      this.push(Buffer.from(part));
    }
    if (lost) {
      const text = `the stream was cut after ${limit} bytes`;
      done(new TransportError("stream_reset", text, { data: { dropAfterBytes: limit } }));
    } else {
      done();
    }
  }

  #partBytes(): number {
    const { split } = this.#faults;
    if (split === undefined) return Infinity;
    if (typeof split === "number") return Math.max(1, split);
    return 1 + Math.floor(split.random.fraction() * split.maxBytes);
  }
}
