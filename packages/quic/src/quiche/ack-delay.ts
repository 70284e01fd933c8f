import { millis, type Clock, type Timer } from "@culvert/runtime";
import type { DriverCounts } from "./driver-counts.ts";

/** What an {@link AckDelay} needs. */
export interface AckDelayDeps {
  readonly clock: Clock;
  readonly counts: DriverCounts;
  /** What was put off is to be sent now. */
  readonly onDue: () => void;
}

/**
 * Puts off datagrams that would carry nothing but an acknowledgement (RFC 9000 §13.2.1), so that it goes with the answer. Where
 * every request has one, that halves the datagrams.
 *
 * quiche acknowledges with the first datagram it may send after it received one, so putting off means not to ask it for any. The
 * second datagram is never kept waiting (RFC 9000 §13.2.2).
 */
export class AckDelay {
  readonly #deps: AckDelayDeps;
  /** Datagrams received since quiche last sent all it wanted to. */
  #owed = 0;
  #dueMs = Infinity;
  #timer: Timer | undefined;

  constructor(deps: AckDelayDeps) {
    this.#deps = deps;
  }

  /** Datagrams came in. */
  heard(datagrams: number): void {
    this.#owed += datagrams;
  }

  /** quiche has sent all it wanted to. */
  paid(): void {
    this.#owed = 0;
    this.#dueMs = Infinity;
  }

  /**
   * Whether sending may wait, as far as acknowledgements go; and then sees to it that it does not for long. Where none is owed, it is
   * credit or the like that made for a turn, which does not wait.
   */
  putOff(nowMs: number): boolean {
    if (this.#owed === 0 || this.#owed >= owedAtOnce || nowMs >= this.#dueMs) return false;
    if (this.#dueMs === Infinity) {
      this.#dueMs = nowMs + delayMs;
      // One that is armed comes first, and is armed anew then.
      if (this.#timer === undefined) this.#arm(delayMs);
    }
    return true;
  }

  /** Nothing is sent any more. */
  end(): void {
    this.#timer?.cancel();
  }

  #arm(afterMs: number): void {
    this.#deps.counts.timers += 1;
    this.#timer = this.#deps.clock.setTimer(millis(Math.max(1, Math.ceil(afterMs))), this.#onTimer);
  }

  readonly #onTimer = (): void => {
    this.#timer = undefined;
    if (this.#dueMs === Infinity) return;
    const leftMs = this.#dueMs - this.#deps.clock.now();
    if (leftMs > 0) this.#arm(leftMs);
    else this.#deps.onDue();
  };
}

const owedAtOnce = 2;
/** What answers is given this long; a fifth of what peers reckon with (max_ack_delay, 25 ms). */
const delayMs = 5;
