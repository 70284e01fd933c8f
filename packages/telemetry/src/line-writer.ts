import type { Writable } from "node:stream";
import { millis, type Clock, type Timer } from "@culvert/runtime";

/**
 * Writes lines that come close together with one call: standard error is written synchronously, and a system call for each of the
 * two lines of every connection costs more than making them.
 */
export class LineWriter {
  readonly #destination: Writable;
  readonly #clock: Pick<Clock, "setTimer">;
  #waiting = "";
  #timer: Timer | undefined;

  constructor(destination: Writable, clock: Pick<Clock, "setTimer">) {
    this.#destination = destination;
    this.#clock = clock;
  }

  /** Takes a line; it is written within {@link longestWait}, unless the process ends before that without {@link flush}. */
  add(line: string): void {
    this.#waiting += line;
    if (this.#waiting.length >= mostWaiting) this.flush();
    else if (this.#timer === undefined) {
      this.#timer = this.#clock.setTimer(longestWait, this.#onTimer, { unref: true });
    }
  }

  /** Writes what waits. */
  readonly flush = (): void => {
    if (this.#waiting === "") return;
    const lines = this.#waiting;
    this.#waiting = "";
    this.#destination.write(lines);
  };

  readonly #onTimer = (): void => {
    this.#timer = undefined;
    this.flush();
  };
}

const longestWait = millis(20);

/** Characters that may wait; a pipe of Linux takes as many at once. */
const mostWaiting = 64 * 1024;
