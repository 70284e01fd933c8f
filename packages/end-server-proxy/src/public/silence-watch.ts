import { millis, type Clock, type Millis, type Timer } from "@culvert/runtime";

/** Ends what is silent for longer than it may be just now; what passes costs no timer. Owned by what it watches, which stops it. */
export class SilenceWatch {
  readonly #clock: Clock;
  readonly #onSilent: () => void;
  #limit: Millis;
  #heardAt: Millis;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(clock: Clock, limit: Millis, onSilent: () => void) {
    this.#clock = clock;
    this.#onSilent = onSilent;
    this.#limit = limit;
    this.#heardAt = clock.now();
    this.#arm(limit);
  }

  /** From now on silence may last so long. Does nothing once stopped. */
  allow(limit: Millis): void {
    this.#limit = limit;
    this.heard();
    this.#timer?.cancel();
    if (!this.#stopped) this.#arm(limit);
  }

  /** Something passed. */
  heard(): void {
    this.#heardAt = this.#clock.now();
  }

  /** For good. */
  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #arm(delay: Millis): void {
    this.#timer = this.#clock.setTimer(delay, () => {
      const left = this.#heardAt + this.#limit - this.#clock.now();
      if (left > 0) this.#arm(millis(left));
      else this.#onSilent();
    });
  }
}
