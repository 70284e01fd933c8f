/**
 * Bytes that have arrived in order and that nobody reads yet. Segments are views of larger memory, and small ones cost more
 * than their bytes: both are copied together into blocks, so that what is kept follows from what is counted.
 */
export class UnreadBytes {
  readonly #pieces: Uint8Array[] = [];
  /** The last block, which has room: its bytes follow all of {@link #pieces}. */
  #block: Uint8Array | undefined;
  #blockUsed = 0;
  #length = 0;

  /** Bytes held. */
  get length(): number {
    return this.#length;
  }

  /** Takes the next bytes: a view that nobody else writes to. */
  append(bytes: Uint8Array): void {
    this.#length += bytes.length;
    if (!isWasteful(bytes)) {
      this.#seal();
      this.#pieces.push(bytes);
      return;
    }
    for (let rest = bytes; rest.length > 0;) rest = this.#copy(rest);
  }

  /** Takes out the bytes that came first, as many as lie together; undefined if there are none. They are the caller's from then on. */
  shift(): Uint8Array | undefined {
    if (this.#pieces.length === 0) this.#seal();
    const first = this.#pieces.shift();
    this.#length -= first?.length ?? 0;
    return first;
  }

  /** Lets go of everything. */
  clear(): void {
    this.#pieces.length = 0;
    this.#block = undefined;
    this.#blockUsed = 0;
    this.#length = 0;
  }

  /** Returns what did not fit. */
  #copy(bytes: Uint8Array): Uint8Array {
    this.#block ??= new Uint8Array(this.#blockBytes(bytes.length));
    const room = Math.min(bytes.length, this.#block.length - this.#blockUsed);
    this.#block.set(bytes.subarray(0, room), this.#blockUsed);
    this.#blockUsed += room;
    if (this.#blockUsed === this.#block.length) this.#seal();
    return bytes.subarray(room);
  }

  /** As much again as is held already: a few bytes take little, and many lie in few blocks. */
  #blockBytes(neededBytes: number): number {
    const bytes = Math.max(neededBytes, this.#length, leastBlockBytes);
    return Math.min(bytes, mostBlockBytes);
  }

  #seal(): void {
    if (this.#block === undefined) return;
    this.#pieces.push(this.#block.subarray(0, this.#blockUsed));
    this.#block = undefined;
    this.#blockUsed = 0;
  }
}

/** A copy of bytes that would keep far more memory than they are; otherwise they themselves. */
export function compact(bytes: Uint8Array): Uint8Array {
  const { byteLength } = bytes.buffer;
  return byteLength > 2 * bytes.length + leastBlockBytes ? Uint8Array.from(bytes) : bytes;
}

/** Whether bytes are better copied than kept as the view they are. */
function isWasteful({ length, buffer }: Uint8Array): boolean {
  return length < leastKeptBytes || buffer.byteLength > 2 * length;
}

const leastBlockBytes = 1_024;
const mostBlockBytes = 32 * 1_024;
/** From so many bytes on a segment may stay a piece of its own. */
const leastKeptBytes = 4 * 1_024;
