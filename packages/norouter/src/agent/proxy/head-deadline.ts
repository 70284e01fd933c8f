import type { Duplex } from "node:stream";
import { millis, type Clock, type Timer } from "@culvert/runtime";

/**
 * Ends a connection whose client takes too long for the head of a request: a byte now and then would keep it open for ever. A head after
 * others may be begun as late as a connection may rest. Ends with the connection.
 */
export class HeadDeadline {
  readonly #clock: Clock;
  readonly #client: Duplex;
  #timer: Timer;
  /** Requests whose heads are there and whose answers have not left: a client may send several at once. */
  #open = 0;

  /** Waits for the first head from now on. */
  constructor(clock: Clock, client: Duplex) {
    this.#clock = clock;
    this.#client = client;
    this.#timer = this.#startTimer(headMs);
    client.once("close", () => this.#timer.cancel());
  }

  /** A head is there. */
  arrived(): void {
    this.#open += 1;
    this.#timer.cancel();
  }

  /** The answer to one has left. */
  answered(): void {
    this.#open -= 1;
    if (this.#open > 0 || this.#client.closed) return;
    this.#timer = this.#startTimer(idleMs + headMs);
  }

  #startTimer(limitMs: number): Timer {
    return this.#clock.setTimer(millis(limitMs), () => this.#client.destroy());
  }
}

/** How long a connection may rest between two requests, milliseconds. */
export const idleMs = 75_000;
/** How long a client may take for the head of a request, milliseconds. */
const headMs = 30_000;
