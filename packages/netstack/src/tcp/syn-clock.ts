import type { RttEstimator } from "./rtt-estimator.ts";

/** When SYN is sent again, how long the handshake may take, and what it tells of the round-trip time. */
export class SynClock {
  readonly #rtt: RttEstimator;
  #sentAtMs = 0;
  #count = 0;
  #repeatAtMs = Infinity;

  constructor(rtt: RttEstimator) {
    this.#rtt = rtt;
  }

  /** When SYN is to be sent again; Infinity for never. */
  get repeatAtMs(): number {
    return this.#repeatAtMs;
  }

  /** SYN was sent; `again` if because nothing came in time, which doubles the time-out (RFC 6298 §5.5). */
  sent(nowMs: number, again: boolean): void {
    if (again) this.#rtt.backOff();
    this.#sentAtMs = nowMs;
    this.#count += 1;
    this.#repeatAtMs = nowMs + this.#rtt.rtoMs;
  }

  /** SYN was acknowledged. `echoedMs` is the round-trip time by its timestamp. */
  acknowledged(nowMs: number, echoedMs: number | undefined): void {
    this.stop();
    const latestMs = nowMs - this.#sentAtMs;
    // RFC 6298 §3: without a timestamp nobody knows which SYN was acknowledged. One of an earlier SYN tells no more: what it waited for
    // was that we repeat ours, since the first acknowledgement was lost.
    if (this.#count === 1) this.#rtt.sample(latestMs);
    else if (echoedMs !== undefined && echoedMs <= latestMs + clockStepMs) {
      this.#rtt.sample(echoedMs);
    } else this.#rtt.distrustAfterLostSyn();
  }

  stop(): void {
    this.#repeatAtMs = Infinity;
  }
}

/** Timestamps count whole milliseconds. */
const clockStepMs = 1;
