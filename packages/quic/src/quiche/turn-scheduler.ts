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
  /** Who has had a turn in this run. */
  readonly #served = new Set<TurnTaker>();
  #scheduled = false;
  #runs = false;

  /** Asks for a turn; asking again before it comes changes nothing. */
  schedule(taker: TurnTaker): void {
    // What one connection's turn gives another to send goes with the same run.
    if (this.#runs && !this.#served.has(taker)) {
      this.#running.add(taker);
      return;
    }
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
    this.#runs = true;
    try {
      for (const taker of this.#running) {
        this.#running.delete(taker);
        this.#served.add(taker);
        taker.turn();
      }
    } finally {
      this.#runs = false;
      this.#served.clear();
      // Only if a listener of a stream threw: the others must not miss their turn.
      const missed = [...this.#running];
      this.#running.clear();
      for (const taker of missed) this.schedule(taker);
    }
  };
}
