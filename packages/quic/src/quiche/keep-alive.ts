/** What a {@link KeepAlive} needs. */
export interface KeepAliveDeps {
  /** Datagrams that could be decrypted so far. */
  readonly received: () => number;
  /** The side that was dialled: it asks only where the other one does not. */
  readonly isServer: boolean;
  /** Silence after which the side that dialled asks, milliseconds. */
  readonly silenceMs: number;
  readonly nowMs: number;
}

/**
 * Decides when a connection has been silent for so long that a PING is to be sent. A PING and its acknowledgement keep both ends
 * alive, and a NAT between them open, so that one end's are enough: the other's would double what an idle connection costs.
 *
 * Only what could be decrypted breaks a silence. Something forged, beside something genuine since the last look, may make it last
 * twice as long, but no longer.
 */
export class KeepAlive {
  readonly #countReceived: () => number;
  readonly #silenceMs: number;
  #quietSinceMs: number;
  #heardMs: number;
  /** Of which so many were known when this last looked. */
  #received = 0;

  constructor({ received, isServer, silenceMs, nowMs }: KeepAliveDeps) {
    this.#countReceived = received;
    this.#silenceMs = isServer ? serverPatience * silenceMs : silenceMs;
    this.#quietSinceMs = this.#heardMs = nowMs;
  }

  /** When {@link isDue} may next be true. */
  get dueMs(): number {
    return this.#quietSinceMs + this.#silenceMs;
  }

  /** Datagrams came in, whoever sent them. */
  heard(nowMs: number): void {
    this.#heardMs = nowMs;
  }

  /** Whether a PING is to be sent now; once it said so, the next one is a silence away. */
  isDue(nowMs: number): boolean {
    if (nowMs < this.dueMs) return false;
    const received = this.#countReceived();
    const genuine = received > this.#received;
    this.#received = received;
    const isHeard = genuine && nowMs - this.#heardMs < almost * this.#silenceMs;
    this.#quietSinceMs = isHeard ? this.#heardMs : nowMs;
    return !isHeard;
  }
}

/** So much longer the dialled side waits, so that the other's PING comes first; it notices a peer that is gone so much later. */
const serverPatience = 1.25;
/** This part of a silence is asked after at once, which costs less than to come back for the rest. */
const almost = 0.75;
