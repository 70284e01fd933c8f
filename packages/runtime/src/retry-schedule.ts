import { millis, type Millis } from "./duration.ts";
import type { Random } from "./random.ts";

/** Shape of an exponential back-off. */
export interface RetryOptions {
  readonly first: Millis;
  readonly cap: Millis;
  /** Growth per attempt. */
  readonly factor: number;
}

/** Capped exponential back-off with full-range jitter: each delay lies between half and the whole of its step. */
export class RetrySchedule {
  readonly #random: Random;
  readonly #options: RetryOptions;
  #attempt = 0;
  #stepMs: number;

  constructor(random: Random, options: RetryOptions) {
    this.#random = random;
    this.#options = options;
    this.#stepMs = Math.min(options.first, options.cap);
  }

  /** Attempts since the last {@link reset}. */
  get attempt(): number {
    return this.#attempt;
  }

  /** The delay before the next attempt; each call counts as one attempt. */
  next(): Millis {
    const { cap, factor } = this.#options;
    const step = this.#stepMs;
    this.#stepMs = Math.min(cap, step * factor);
    this.#attempt += 1;
    return millis(step / 2 + (step / 2) * this.#random.fraction());
  }

  /** Starts over, after a success. */
  reset(): void {
    this.#attempt = 0;
    this.#stepMs = Math.min(this.#options.first, this.#options.cap);
  }
}
