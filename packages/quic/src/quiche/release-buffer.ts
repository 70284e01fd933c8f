import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/**
 * Gives the memory behind a buffer back at once, instead of at some garbage collection: the buffer, and every view on the same
 * memory, is empty from then on. Only for a buffer that has its memory to itself.
 *
 * node:dgram allocates each datagram anew, and V8 answers so much memory outside its heap with a full collection every 20 MiB, which
 * costs more than decrypting them.
 */
export function releaseBuffer(buffer: Buffer): void {
  const { byteLength, buffer: memory } = buffer;
  // One that shares a pool does not own it.
  if (byteLength > 0 && byteLength === memory.byteLength) transfer?.call(memory, 0);
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
