import type { RttEstimator } from "./rtt-estimator.ts";

/** Finds what of sending and being acknowledged tells the round-trip time (RFC 6298 §3, RFC 7323 §4). */
export class RttSamples {
  readonly #rtt: RttEstimator;
  /** A sample is taken when this position is acknowledged. */
  #timedPosition: number | undefined;
  #timedAtMs = 0;
  /** What was sent more than once ends here, and when anything was last. */
  #sentAgainTo = 0;
  #sentAgainAtMs = 0;

  constructor(rtt: RttEstimator) {
    this.#rtt = rtt;
  }

  /** Something that ends at `end` was sent for the first time. */
  sent(end: number, nowMs: number): void {
    if (this.#timedPosition !== undefined) return;
    this.#timedPosition = end;
    this.#timedAtMs = nowMs;
  }

  /** Something that ends at `end` was sent once more: nothing under way gives a sample by itself (RFC 6298 §3, Karn's rule). */
  sentAgain(end: number, nowMs: number): void {
    this.#timedPosition = undefined;
    this.#sentAgainTo = Math.max(this.#sentAgainTo, end);
    this.#sentAgainAtMs = nowMs;
  }

  /** What was sent last may not be taken at once, and so tells nothing. */
  distrust(): void {
    this.#timedPosition = undefined;
  }

  /** Everything from `from` to `to` was acknowledged, with a timestamp that shows `echoedMs`. */
  acknowledged(from: number, to: number, echoedMs: number | undefined, nowMs: number): void {
    const wasSentAgain = from < this.#sentAgainTo;
    if (this.#timedPosition !== undefined && to >= this.#timedPosition) {
      this.#timedPosition = undefined;
      this.#rtt.sample(nowMs - this.#timedAtMs);
    } else if (this.#timedPosition === undefined && echoedMs !== undefined) {
      // Of a retransmission the timestamp alone tells which transmission arrived (RFC 7323 §4, RFC 6298 §3). If that was an earlier one,
      // its acknowledgement was lost and came again only for the latest: it tells how long we waited, not how long the way is.
      const latestMs = nowMs - this.#sentAgainAtMs + clockStepMs;
      if (!wasSentAgain || echoedMs <= latestMs) this.#rtt.sample(echoedMs);
    }
  }
}

/** Timestamps count whole milliseconds. */
const clockStepMs = 1;
