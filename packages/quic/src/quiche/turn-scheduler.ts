/** Something with work to do once per turn of the event loop. */
export interface TurnTaker {
  /** Does the work. */
  turn(): void;
}

/**
 * Runs whoever asked for it once per turn of the event loop, after the sockets were read: however many datagrams arrive together,
 * a connection looks at its streams and sends once.
 */
export class TurnScheduler {
  #waiting = new Set<TurnTaker>();
  #running = new Set<TurnTaker>();
  #scheduled = false;

  /** Asks for a turn; asking again before it comes changes nothing. */
  schedule(taker: TurnTaker): void {
    this.#waiting.add(taker);
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#run);
  }

  /** Takes back a request. */
  cancel(taker: TurnTaker): void {
    this.#waiting.delete(taker);
    this.#running.delete(taker);
  }

  readonly #run = (): void => {
    this.#scheduled = false;
    [this.#waiting, this.#running] = [this.#running, this.#waiting];
    try {
      for (const taker of this.#running) {
        this.#running.delete(taker);
        taker.turn();
      }
    } finally {
      // Only if a listener of a stream threw: the others must not miss their turn.
      for (const taker of this.#running) this.schedule(taker);
      this.#running.clear();
    }
  };
}
