/** Bytes of buffers since the counting began. */
export interface BufferTraffic {
  /** Of buffers that were made; not of those that Node reads into, nor of views of what is there. */
  readonly madeBytes: number;
  /** Copied by `copy` and `set`. */
  readonly copiedBytes: number;
}

/** Counts what this process makes and copies of buffers until `stop` is called; one at a time. */
export function countBufferTraffic(): { readonly sum: BufferTraffic; readonly stop: () => void } {
  const sum = { madeBytes: 0, copiedBytes: 0 };
  let within = false;
  const watch = (owner: object, name: string, note: (result: unknown, args: unknown[]) => void) => {
    const original: unknown = Reflect.get(owner, name);
    if (typeof original !== "function") throw new Error(`there is no ${name}`);
    const watched = function (this: unknown, ...args: unknown[]): unknown {
      if (within) return Reflect.apply(original, this, args);
      within = true;
      try {
        const result: unknown = Reflect.apply(original, this, args);
        note(result, args);
        return result;
      } finally {
        within = false;
      }
    };
    Reflect.set(owner, name, watched);
    return () => Reflect.set(owner, name, original);
  };
  const made = (result: unknown, [first]: unknown[]): void => {
    if (result instanceof Uint8Array && !(first instanceof ArrayBuffer)) {
      sum.madeBytes += result.byteLength;
    }
  };
  const restores = [
    ...["alloc", "allocUnsafe", "allocUnsafeSlow", "concat", "from"].map((name) =>
      watch(Buffer, name, made),
    ),
    watch(typedArrays, "slice", made),
    watch(Buffer.prototype as object, "copy", (copied) => (sum.copiedBytes += Number(copied))),
    watch(typedArrays, "set", (_, [source]) => {
      if (source instanceof Uint8Array) sum.copiedBytes += source.byteLength;
    }),
  ];
  return { sum, stop: () => restores.forEach((restore) => restore()) };
}

const typedArrays = Reflect.getPrototypeOf(Uint8Array.prototype) ?? Uint8Array.prototype;
