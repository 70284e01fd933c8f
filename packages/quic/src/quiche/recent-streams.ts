/**
 * The ids of the streams that were opened or read last: the next to have something to read is mostly among them. To ask for each by
 * name costs a fiftieth of asking quiche for the list of all that are readable.
 */
export class RecentStreams {
  /** Oldest first. */
  readonly #ids = new Set<number>();

  /** The stream was opened, or had something to read. */
  note(streamId: number): void {
    if (this.#ids.has(streamId)) return;
    this.#ids.add(streamId);
    if (this.#ids.size <= mostRemembered) return;
    for (const oldest of this.#ids) {
      this.#ids.delete(oldest);
      return;
    }
  }

  /** The stream is over. */
  forget(streamId: number): void {
    this.#ids.delete(streamId);
  }

  /** The ids, which may be noted and forgotten meanwhile. */
  [Symbol.iterator](): Iterator<number> {
    return this.#ids.values();
  }
}

/** All of them together cost less than the list. */
const mostRemembered = 16;
