/**
 * How much to ask of the next read. Each read allocates what it asks for, so a quiet stream asks for little, and one that has
 * filled its last read for more.
 */
export class ReadSize {
  #bytes = smallestReadBytes;

  /** What to ask for. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Notes that a read that asked for `asked` bytes got `got`. */
  learn(asked: number, got: number): void {
    if (got >= asked) {
      this.#bytes = Math.min(Math.max(asked * step, this.#bytes), largestReadBytes);
    } else if (got < asked / (2 * step)) {
      this.#bytes = Math.max(asked / step, smallestReadBytes);
    }
  }
}

const step = 4;
/** Holds what an interactive program sends at a time. */
const smallestReadBytes = 4 * 1024;
/** Beyond this a transfer gets no faster, and a stream whose reader stops would hold more. */
const largestReadBytes = 128 * 1024;
