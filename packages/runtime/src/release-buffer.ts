import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/**
 * Gives the memory behind a chunk back at once, instead of at some garbage collection: the chunk, and every view on the same memory,
 * is empty from then on. Does nothing to a chunk that shares its memory, nor where the platform cannot.
 *
 * Node allocates what it reads anew each time, and V8 answers some 20 MiB of memory outside its heap with a collection, which costs a
 * bulk transfer more than encrypting it.
 */
export function releaseBuffer(chunk: Uint8Array): void {
  const { byteLength, buffer } = chunk;
  if (byteLength > 0 && byteLength === buffer.byteLength) transfer?.call(buffer, 0);
}

type Transfer = (this: ArrayBufferLike, bytes: number) => ArrayBufferLike;

function findTransfer(): Transfer | undefined {
  const native: unknown = Reflect.get(ArrayBuffer.prototype, "transfer");
  if (typeof native === "function") return native as Transfer;
  // ES2024, which the V8 of Node 20 has behind a flag that is looked at when a context is made.
  setFlagsFromString("--harmony-rab-gsab-transfer");
  const found: unknown = runInNewContext("ArrayBuffer.prototype.transfer");
  return typeof found === "function" ? (found as Transfer) : undefined;
}

const transfer = findTransfer();
