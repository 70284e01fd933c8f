import type { Duplex } from "node:stream";

/**
 * A reliable, ordered stream of bytes in both directions. A Node Duplex with `allowHalfOpen`: `end()` sends FIN and leaves the
 * other direction open; `destroy(error)` aborts both directions, which the other end sees as a reset, never as an end. A peer's
 * reset destroys the stream with TransportError `stream_reset`. A TCP socket keeps this
 * contract once it has passed through `tcpByteStream`. Whoever holds the stream owns it and must end or destroy it.
 */
export type ByteStream = Duplex;
