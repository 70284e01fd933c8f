/**
 * Cuts queued chunks into what one write of the addon should carry: small chunks are joined, since each write crosses threads,
 * and large ones cut, since a write in progress cannot be interrupted. Pieces are views on the chunks where nothing was joined.
 */
export class WritePieces {
  readonly #chunks: readonly Uint8Array[];
  #index = 0;
  #offset = 0;

  constructor(chunks: readonly Uint8Array[]) {
    this.#chunks = chunks;
  }

  /** The next piece, never empty; undefined when everything was given out. */
  next(): Uint8Array | undefined {
    const parts: Uint8Array[] = [];
    let bytes = 0;
    for (let chunk = this.#rest(); chunk !== undefined; chunk = this.#rest()) {
      if (bytes > 0 && (bytes >= enoughBytes || bytes + chunk.length > largestPieceBytes)) break;
      const part = chunk.subarray(0, largestPieceBytes);
      parts.push(part);
      bytes += part.length;
      this.#offset += part.length;
    }
    return parts.length < 2 ? parts[0] : Buffer.concat(parts, bytes);
  }

  /** What is left of the first chunk that is not used up. */
  #rest(): Uint8Array | undefined {
    for (;;) {
      const chunk = this.#chunks[this.#index];
      if (chunk === undefined) return undefined;
      if (this.#offset < chunk.length) return chunk.subarray(this.#offset);
      this.#index += 1;
      this.#offset = 0;
    }
  }
}

/** Joining more than this costs a copy and gains nothing. */
const enoughBytes = 64 * 1024;
const largestPieceBytes = 128 * 1024;
