/**
 * Where streams are read into. What was read is passed on as a copy if it is small; a buffer that was filled is passed on itself, and
 * another one takes its place.
 */
export class ReadBuffer {
  #buffer = Buffer.allocUnsafeSlow(readBytes);

  /** What to read into. Good until {@link take}. */
  get space(): Buffer {
    return this.#buffer;
  }

  /** The first `length` bytes, which the caller owns. */
  take(length: number): Buffer {
    const filled = this.#buffer;
    if (length < filled.length) {
      const copy = Buffer.allocUnsafe(length);
      filled.copy(copy, 0, 0, length);
      return copy;
    }
    this.#buffer = Buffer.allocUnsafeSlow(readBytes);
    return filled;
  }
}

/** What a reader that stops may hold outside quiche. */
const readBytes = 64 * 1024;
