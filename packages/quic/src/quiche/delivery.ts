import type { GuardedConnection } from "./guarded-connection.ts";

/** Knows which ended streams may not have arrived at the peer yet, as far as quiche lets that be seen. */
export class Delivery {
  readonly #link: GuardedConnection;
  /** Streams whose FIN was handed over. */
  readonly #undelivered = new Set<number>();
  #waiting: (() => void)[] = [];
  #pruneAt = leastPruned;

  constructor(link: GuardedConnection) {
    this.#link = link;
  }

  /** Whether somebody waits for {@link settled}. */
  get awaited(): boolean {
    return this.#waiting.length > 0;
  }

  /** FIN of a stream was handed over. */
  ended(streamId: number): void {
    this.#undelivered.add(streamId);
    if (this.#undelivered.size >= this.#pruneAt) this.#prune();
  }

  /** Resolves at the next {@link check} that finds everything delivered, or at {@link over}. */
  settled(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /**
   * Looks whether everything arrived. `allHandedOver` says that no ended stream has anything left to hand over; `nothingInFlight`,
   * that all that was sent is acknowledged.
   */
  check(allHandedOver: boolean, nothingInFlight: boolean): void {
    if (nothingInFlight) this.#undelivered.clear();
    else if (this.awaited) this.#prune();
    if (allHandedOver && this.#undelivered.size === 0) this.over();
  }

  /** The connection is over: nobody need wait any longer. */
  over(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }

  /** quiche forgets a stream that is over in both directions once all its bytes are acknowledged. */
  #prune(): void {
    for (const streamId of this.#undelivered) {
      if (typeof this.#link.streamCapacity(streamId) !== "number") {
        this.#undelivered.delete(streamId);
      }
    }
    // What is left is open in the other direction; looking at it again and again would cost more than it weighs.
    this.#pruneAt = Math.max(leastPruned, 2 * this.#undelivered.size);
  }
}

/** Ended streams remembered on a connection that is never idle, before those that quiche has forgotten are struck off. */
const leastPruned = 1024;
