/** Counts what all connections of a stack keep for their readers together, be it in order or not yet. */
export class UnreadLedger {
  /** From here on the stack keeps no more than little of each connection. */
  readonly limitBytes: number;
  #bytes = 0;
  #refused = 0;

  constructor(limitBytes: number) {
    this.limitBytes = limitBytes;
  }

  /** Bytes kept now. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Segments dropped since too much was kept; only grows. */
  get refused(): number {
    return this.#refused;
  }

  /** Whether the limit is reached. */
  get isFull(): boolean {
    return this.#bytes >= this.limitBytes;
  }

  /** A connection keeps so many bytes more, or less. */
  add(bytes: number): void {
    this.#bytes += bytes;
  }

  /** A segment was dropped. */
  refuse(): void {
    this.#refused += 1;
  }
}
