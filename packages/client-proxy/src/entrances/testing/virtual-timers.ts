import { systemClock, type Clock, type Millis } from "@culvert/runtime";

/** A clock whose timers fire when the test says so. */
export class VirtualTimers implements Clock {
  readonly #timers = new Set<{ readonly delay: Millis; readonly callback: () => void }>();

  now(): Millis {
    return systemClock.now();
  }

  wallNowMs(): number {
    return 1_700_000_000_000;
  }

  setTimer(delay: Millis, callback: () => void): { cancel(): void } {
    const timer = { delay, callback };
    this.#timers.add(timer);
    return { cancel: () => this.#timers.delete(timer) };
  }

  /** Delays of the timers that are set, in the order of setting. */
  get pending(): readonly Millis[] {
    return [...this.#timers].map(({ delay }) => delay);
  }

  /** Fires every timer that is set. */
  expire(): void {
    for (const timer of [...this.#timers]) {
      this.#timers.delete(timer);
      timer.callback();
    }
  }
}
