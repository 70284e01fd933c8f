/**
 * What connections said last that we have closed, for a while. A peer's datagram that was under way is answered by the same words again,
 * ever more rarely (RFC 9000 §10.2.1): a stateless reset in their place would hide why, and in the peer's next read even take the place of
 * words that have arrived.
 */
export class ClosedConnections {
  readonly #byId = new Map<string, Closed>();
  /** Oldest first. */
  readonly #all = new Set<Closed>();

  /** Keeps a connection's last datagram, whose bytes are ours from now on, under the ids that its peer may still send to. */
  add(ids: Iterable<string>, lastWord: Uint8Array, nowMs: number): void {
    const closed = { ids: [...ids], lastWord, untilMs: nowMs + rememberedMs, heard: 0 };
    this.#all.add(closed);
    for (const id of closed.ids) this.#byId.set(id, closed);
    for (const old of this.#all) {
      if (old.untilMs > nowMs && this.#all.size <= maxRemembered) break;
      this.#all.delete(old);
      for (const id of old.ids) this.#byId.delete(id);
    }
  }

  /** What to say to a datagram for an id: the last words, or nothing this time; undefined for an id that nobody closed of late. */
  answer(id: string, receivedBytes: number, nowMs: number): Uint8Array | "nothing" | undefined {
    const closed = this.#byId.get(id);
    if (closed === undefined || closed.untilMs <= nowMs) return undefined;
    closed.heard += 1;
    // The first, the second, the fourth and so on; and not so much more than was sent that it is of use to flood a third party.
    const isPowerOfTwo = (closed.heard & (closed.heard - 1)) === 0;
    const isSmall = closed.lastWord.length <= maxAmplification * receivedBytes;
    return isPowerOfTwo && isSmall ? closed.lastWord : "nothing";
  }
}

interface Closed {
  readonly ids: readonly string[];
  readonly lastWord: Uint8Array;
  readonly untilMs: number;
  heard: number;
}

/** More than three probe time-outs of most paths. */
const rememberedMs = 3_000;
const maxRemembered = 512;
/** As before an address is validated (RFC 9000 §8.1). */
const maxAmplification = 3;
