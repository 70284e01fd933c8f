/**
 * Makes V8 count memory that it cannot see. The addon frees what stands behind an object no sooner than garbage collection finds
 * that nobody refers to it, and V8 does not know how heavy that is: sockets and connections of a process that makes many of
 * them would pile up for want of a reason to collect. Whoever holds such an object holds its weight beside it: as many bytes,
 * which are counted but never touched, so they cost address space and no memory, and bring the collection forward.
 */
export class NativeWeight {
  readonly #ballast: ArrayBuffer;

  constructor(bytes: number) {
    this.#ballast = new ArrayBuffer(bytes);
  }

  /** What V8 is told. */
  get bytes(): number {
    return this.#ballast.byteLength;
  }
}
