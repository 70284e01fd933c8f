/**
 * Gathers frames for one write to the carrier. Small pieces are joined, since each piece costs a carrier more than its bytes do;
 * large ones are passed on as they are.
 */
export class FrameBatch {
  readonly #chunks: Uint8Array[] = [];
  #small: Uint8Array[] = [];
  #smallBytes = 0;
  #bytes = 0;

  /** Bytes gathered so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Adds a piece, which belongs to the batch from now on. */
  add(piece: Uint8Array): void {
    if (piece.length === 0) return;
    this.#bytes += piece.length;
    if (piece.length <= smallBytes) {
      this.#small.push(piece);
      this.#smallBytes += piece.length;
    } else {
      this.#joinSmall();
      this.#chunks.push(piece);
    }
  }

  /** What was gathered, in order. Empties the batch. */
  take(): Uint8Array[] {
    this.#joinSmall();
    this.#bytes = 0;
    return this.#chunks.splice(0);
  }

  #joinSmall(): void {
    if (this.#small.length === 0) return;
    const [only] = this.#small;
    if (this.#small.length === 1 && only !== undefined) this.#chunks.push(only);
    else this.#chunks.push(Buffer.concat(this.#small, this.#smallBytes));
    this.#small = [];
    this.#smallBytes = 0;
  }
}

/** Below this, copying is cheaper than a piece of its own. */
const smallBytes = 2 * 1024;
