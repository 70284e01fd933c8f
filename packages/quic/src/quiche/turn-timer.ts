import { millis, type Clock, type Timer } from "@culvert/runtime";
import type { DriverCounts } from "./driver-counts.ts";

/** What a {@link TurnTimer} needs. */
export interface TurnTimerDeps {
  readonly clock: Clock;
  readonly counts: DriverCounts;
  readonly onFire: () => void;
}

/** The one timer behind all deadlines of a connection. One set for too early stays: to arm it anew costs more than an idle turn. */
export class TurnTimer {
  readonly #deps: TurnTimerDeps;
  #timer: Timer | undefined;
  #atMs = 0;
  #fired = false;

  constructor(deps: TurnTimerDeps) {
    this.#deps = deps;
  }

  /** Whether it fired since this was last asked. */
  takeFired(): boolean {
    const fired = this.#fired;
    this.#fired = false;
    return fired;
  }

  /** Sees to it that it fires at `atMs` or before. */
  fireBy(atMs: number, nowMs: number): void {
    if (this.#timer !== undefined && this.#atMs <= atMs) return;
    this.#timer?.cancel();
    this.#atMs = atMs;
    this.#deps.counts.timers += 1;
    const delay = millis(Math.max(1, Math.ceil(atMs - nowMs)));
    this.#timer = this.#deps.clock.setTimer(delay, this.#onTimer);
  }

  /** It does not fire any more. */
  cancel(): void {
    this.#timer?.cancel();
  }

  readonly #onTimer = (): void => {
    this.#timer = undefined;
    this.#fired = true;
    this.#deps.onFire();
  };
}
