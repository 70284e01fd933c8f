import type { Duplex } from "node:stream";

/**
 * A reliable, ordered stream of bytes in both directions. A Node Duplex with `allowHalfOpen`: `end()` sends FIN and leaves the
 * other direction open; `destroy(error)` aborts both directions, which the other end sees as a reset, never as an end. A peer's
 * reset destroys the stream with TransportError `stream_reset`. A TCP socket keeps this
 * contract once it has passed through `tcpByteStream`. Whoever holds the stream owns it and must end or destroy it.
 */
export type ByteStream = Duplex;

/**
 * A mark of streams that share no memory: a chunk that such a stream emits is known to nobody but its reader, and one that was
 * written to it is not looked at any more once the write's callback was called without an error.
 */
export const sharesNoMemory: unique symbol = Symbol("sharesNoMemory");

/** Whether a stream bears the mark {@link sharesNoMemory}. */
export function isSharingNoMemory(stream: ByteStream): boolean {
  return sharesNoMemory in stream;
}
