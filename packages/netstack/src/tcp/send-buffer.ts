/**
 * What was written and is not yet acknowledged, by position. Chunks are kept as they were given, not copied, and so belong to
 * the buffer until they are released; small ones are copied together, which makes few parts of many little writes.
 */
export class SendBuffer {
  #chunks: Uint8Array[] = [];
  /** Position of the first byte of each chunk. */
  #starts: number[] = [];
  #head = 0;
  #start: number;
  #end: number;
  #slab: Uint8Array | undefined;
  #slabUsed = 0;

  constructor(start: number) {
    this.#start = start;
    this.#end = start;
  }

  /** The position after the last byte. */
  get end(): number {
    return this.#end;
  }

  /** Bytes written and not yet released. */
  get length(): number {
    return this.#end - this.#start;
  }

  append(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    if (chunk.length < smallChunkBytes) this.#appendSmall(chunk);
    else this.#push(chunk);
    this.#end += chunk.length;
  }

  /** Lets go of everything before `position`. */
  releaseTo(position: number): void {
    if (position <= this.#start) return;
    this.#start = Math.min(position, this.#end);
    while (this.#head < this.#chunks.length) {
      const end = (this.#starts[this.#head] ?? 0) + (this.#chunks[this.#head]?.length ?? 0);
      if (end > position) break;
      this.#chunks[this.#head] = nothing;
      this.#head += 1;
    }
    if (this.#head === this.#chunks.length) this.#clear();
    else if (this.#head > 64 && this.#head * 2 > this.#chunks.length) this.#compact();
  }

  /** Views of the bytes from `from` on, `length` in all; they must lie between the released and the end. */
  parts(from: number, length: number): Uint8Array[] {
    const parts: Uint8Array[] = [];
    let index = this.#indexOf(from);
    let offset = from - (this.#starts[index] ?? 0);
    for (let left = length; left > 0; index += 1) {
      const chunk = this.#chunks[index] ?? nothing;
      if (chunk.length === 0) throw new RangeError(`no bytes at ${from}`);
      const taken = Math.min(left, chunk.length - offset);
      parts.push(taken === chunk.length ? chunk : chunk.subarray(offset, offset + taken));
      left -= taken;
      offset = 0;
    }
    return parts;
  }

  #appendSmall(chunk: Uint8Array): void {
    if (this.#slab === undefined || this.#slabUsed + chunk.length > this.#slab.length) {
      this.#slab = new Uint8Array(slabBytes);
      this.#slabUsed = 0;
    }
    const at = this.#slabUsed;
    this.#slab.set(chunk, at);
    this.#slabUsed = at + chunk.length;
    const lastIndex = this.#chunks.length - 1;
    const last = lastIndex < this.#head ? undefined : this.#chunks[lastIndex];
    const continues =
      last !== undefined &&
      last.buffer === this.#slab.buffer &&
      last.byteOffset + last.length === at;
    if (continues) this.#chunks[lastIndex] = this.#slab.subarray(last.byteOffset, this.#slabUsed);
    else this.#push(this.#slab.subarray(at, this.#slabUsed));
  }

  #push(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
    this.#starts.push(this.#end);
  }

  #indexOf(position: number): number {
    let low = this.#head;
    let high = this.#chunks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if ((this.#starts[middle] ?? 0) <= position) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  #clear(): void {
    this.#chunks = [];
    this.#starts = [];
    this.#head = 0;
  }

  #compact(): void {
    this.#chunks.splice(0, this.#head);
    this.#starts.splice(0, this.#head);
    this.#head = 0;
  }
}

const nothing = new Uint8Array(0);
/** Chunks below this are copied together. */
const smallChunkBytes = 2_048;
const slabBytes = 16 * 1_024;
