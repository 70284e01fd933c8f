/** How the retransmission time-out is bounded, milliseconds. */
export interface RtoBounds {
  readonly initialMs: number;
  readonly minMs: number;
  readonly maxMs: number;
}

/** Smoothed round-trip time and the retransmission time-out that follows from it (RFC 6298). All in milliseconds. */
export class RttEstimator {
  readonly #bounds: RtoBounds;
  #smoothedMs: number | undefined;
  #variationMs = 0;
  #baseMs: number;
  #backOffs = 0;

  constructor(bounds: RtoBounds) {
    this.#bounds = bounds;
    this.#baseMs = bounds.initialMs;
  }

  /** Whether anything is known of the path yet. */
  get hasSample(): boolean {
    return this.#smoothedMs !== undefined;
  }

  /** 0 before the first sample. */
  get smoothedMs(): number {
    return this.#smoothedMs ?? 0;
  }

  /** The time-out to use now, back-off included. */
  get rtoMs(): number {
    return Math.min(this.#baseMs * 2 ** this.#backOffs, this.#bounds.maxMs);
  }

  /** Takes a sample that no retransmission makes ambiguous (RFC 6298 §2.2, §2.3, §3); it ends the back-off (§5). */
  sample(rttMs: number): void {
    if (this.#smoothedMs === undefined) {
      this.#smoothedMs = rttMs;
      this.#variationMs = rttMs / 2;
    } else {
      this.#variationMs = 0.75 * this.#variationMs + 0.25 * Math.abs(this.#smoothedMs - rttMs);
      this.#smoothedMs = 0.875 * this.#smoothedMs + 0.125 * rttMs;
    }
    const rtoMs = this.#smoothedMs + Math.max(clockGranularityMs, 4 * this.#variationMs);
    this.#baseMs = Math.min(Math.max(rtoMs, this.#bounds.minMs), this.#bounds.maxMs);
    this.#backOffs = 0;
  }

  /** The timer expired: the next time-out is twice as long (RFC 6298 §5.5). */
  backOff(): void {
    this.#backOffs += 1;
  }

  /** A SYN was lost and gave no sample: data begins with a time-out of three seconds (RFC 6298 §5.7). */
  distrustAfterLostSyn(): void {
    if (this.#smoothedMs !== undefined) return;
    this.#baseMs = Math.min(afterLostSynMs, this.#bounds.maxMs);
    this.#backOffs = 0;
  }
}

const clockGranularityMs = 1;
const afterLostSynMs = 3_000;
