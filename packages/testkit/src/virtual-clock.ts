import { millis, type Clock, type Millis, type Timer } from "@culvert/runtime";

/** A {@link Clock} that moves only when told to. One per test; starts at 0 monotonic and 2026-01-01 UTC. */
export class VirtualClock implements Clock {
  readonly #wallStartMs: number;
  readonly #timers = new Set<VirtualTimer>();
  #nowMs = 0;
  #sequence = 0;

  constructor(wallStartMs = Date.UTC(2026, 0, 1)) {
    this.#wallStartMs = wallStartMs;
  }

  /** Timers that are set and neither fired nor cancelled. */
  get pendingTimers(): number {
    return this.#timers.size;
  }

  now(): Millis {
    return millis(this.#nowMs);
  }

  wallNowMs(): number {
    return this.#wallStartMs + this.#nowMs;
  }

  setTimer(delay: Millis, callback: () => void): Timer {
    this.#sequence += 1;
    const timer = { dueMs: this.#nowMs + delay, sequence: this.#sequence, callback };
    this.#timers.add(timer);
    return { cancel: () => void this.#timers.delete(timer) };
  }

  /**
   * Moves time on by `ms` and runs what falls due, in order of time and then of setting. Before, between and after timers the
   * event loop turns, so that promises, ticks and immediates that follow from one timer are over when the next one runs.
   */
  async advance(ms: number): Promise<void> {
    const targetMs = this.#nowMs + ms;
    await turnEventLoop();
    for (;;) {
      const next = this.#earliest();
      if (next === undefined || next.dueMs > targetMs) break;
      this.#timers.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.dueMs);
      next.callback();
      await turnEventLoop();
    }
    this.#nowMs = targetMs;
    await turnEventLoop();
  }

  #earliest(): VirtualTimer | undefined {
    let earliest: VirtualTimer | undefined;
    for (const timer of this.#timers) {
      const earlier =
        earliest === undefined ||
        timer.dueMs < earliest.dueMs ||
        (timer.dueMs === earliest.dueMs && timer.sequence < earliest.sequence);
      if (earlier) earliest = timer;
    }
    return earliest;
  }
}

interface VirtualTimer {
  readonly dueMs: number;
  readonly sequence: number;
  readonly callback: () => void;
}

async function turnEventLoop(): Promise<void> {
  for (let turn = 0; turn < turnsPerStep; turn += 1) {
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Enough for a frame, its answer and the answer to that on a memory network without latency. */
const turnsPerStep = 4;
