import type { GuardedConnection } from "./guarded-connection.ts";

interface Suspicion {
  readonly error: Error;
  readonly untilMs: number;
  readonly receivedBefore: number;
}

/**
 * Finds out whether the peer of an established connection is gone when the network says that nobody listens there. One datagram
 * that anybody can forge says so (ICMP), so the peer is asked, and only its silence is believed.
 */
export class RefusalCheck {
  readonly #link: GuardedConnection;
  #suspicion: Suspicion | undefined;

  constructor(link: GuardedConnection) {
    this.#link = link;
  }

  /** When the {@link verdict} is due. */
  get dueMs(): number {
    return this.#suspicion?.untilMs ?? Infinity;
  }

  /** The network says that nobody listens. The peer is to be sent what quiche has for it. */
  suspect(error: Error, nowMs: number): void {
    if (this.#suspicion !== undefined) return;
    this.#link.ping();
    const patienceMs = Math.max(leastPatienceMs, 2 * (this.#link.activePath()?.rttMs ?? 0));
    this.#suspicion = { error, untilMs: nowMs + patienceMs, receivedBefore: this.#received() };
  }

  /** What the network said, once it is due and the peer has not been heard since. */
  verdict(nowMs: number): Error | undefined {
    const suspicion = this.#suspicion;
    if (suspicion === undefined || nowMs < suspicion.untilMs) return undefined;
    this.#suspicion = undefined;
    return this.#received() > suspicion.receivedBefore ? undefined : suspicion.error;
  }

  /** Only what could be decrypted is counted. */
  #received(): number {
    return this.#link.stats()?.recv ?? 0;
  }
}

const leastPatienceMs = 500;
