/**
 * What was written and is not yet acknowledged, by position. Bytes are copied in, so that a writer may use its chunk again at once,
 * into blocks of equal size, which are used again in their turn.
 */
export class SendBuffer {
  readonly #blocks: Uint8Array[] = [];
  readonly #spares: Uint8Array[] = [];
  /** The position of the first byte of the first block. */
  #base: number;
  #start: number;
  #end: number;

  constructor(start: number) {
    this.#base = start;
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
    for (let at = 0; at < chunk.length;) {
      const used = (this.#end - this.#base) % blockBytes;
      const isFull = this.#end - this.#base === this.#blocks.length * blockBytes;
      const block = isFull ? this.#addBlock() : this.#blocks.at(-1);
      if (block === undefined) return;
      const taken = Math.min(chunk.length - at, blockBytes - used);
      block.set(taken === chunk.length ? chunk : chunk.subarray(at, at + taken), used);
      at += taken;
      this.#end += taken;
    }
  }

  /** Lets go of everything before `position`. Parts of it that were given out are valid no longer. */
  releaseTo(position: number): void {
    this.#start = Math.min(Math.max(position, this.#start), this.#end);
    if (this.#start === this.#end) {
      this.#base = this.#start;
      this.#spare(this.#blocks.length);
      return;
    }
    const whole = Math.floor((this.#start - this.#base) / blockBytes);
    this.#base += whole * blockBytes;
    if (whole > 0) this.#spare(whole);
  }

  /** Views of the bytes from `from` on, `length` in all; they must lie between the released and the end. */
  parts(from: number, length: number): Uint8Array[] {
    if (from < this.#start || from + length > this.#end)
      throw new RangeError(`no bytes at ${from}`);
    const parts: Uint8Array[] = [];
    let index = Math.floor((from - this.#base) / blockBytes);
    let offset = (from - this.#base) % blockBytes;
    for (let left = length; left > 0; index += 1) {
      const taken = Math.min(left, blockBytes - offset);
      const block = this.#blocks[index];
      if (block !== undefined) parts.push(block.subarray(offset, offset + taken));
      left -= taken;
      offset = 0;
    }
    return parts;
  }

  #addBlock(): Uint8Array {
    const block = this.#spares.pop() ?? new Uint8Array(Buffer.allocUnsafeSlow(blockBytes).buffer);
    this.#blocks.push(block);
    return block;
  }

  #spare(count: number): void {
    const most = this.#start === this.#end ? 1 : mostSpares;
    for (const block of this.#blocks.splice(0, count)) {
      if (this.#spares.length < most) this.#spares.push(block);
    }
    if (this.#spares.length > most) this.#spares.length = most;
  }
}

const blockBytes = 32 * 1_024;
const mostSpares = 8;
