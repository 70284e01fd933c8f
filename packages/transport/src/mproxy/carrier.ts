import type { CloseReason } from "@culvert/runtime";

/**
 * Ordered, reliable bytes both ways that carry a tunnel: a TLS or TCP socket, a WebSocket, standard input and output.
 * Owned by the tunnel it is given to, which closes it. Nothing is delivered before {@link start}, nor while it runs.
 */
export interface Carrier {
  /** What it is, for logs and status. */
  readonly kind: "tls" | "websocket" | "stdio" | "memory";
  /** Where the peer is, for logs and status: `192.0.2.7:443`. */
  readonly remote: string;
  /**
   * Writes bytes, in order, as one piece if it can (one corked write, one message). Their memory belongs to the carrier until it
   * calls `sent`, never at once: then nobody below needs it any more. Returns false where {@link bufferedBytes} has passed the
   * carrier's own bound and `drain` will be called. After the end it drops what it is given, and may not call `sent`.
   */
  write(chunks: readonly Uint8Array[], sent?: () => void): boolean;
  /** Bytes written and not yet handed to the system. */
  readonly bufferedBytes: number;
  /** Starts delivery; called once. */
  start(handlers: CarrierHandlers): void;
  /** Stops delivery, so that the peer has to wait. What is under way may still come. */
  pause(): void;
  /** Goes on delivering. */
  resume(): void;
  /**
   * Ends in order, after what was written, and is destroyed where that takes longer than a bound of its own. Delivers nothing
   * after it but `closed`, with this reason. A second call does nothing.
   */
  close(reason: CloseReason): void;
  /**
   * 32 bytes that both ends of one TLS 1.3 connection, and nobody else, can compute (RFC 8446 §7.5), where TLS ends in this process;
   * else undefined.
   */
  channelBinding(): Uint8Array | undefined;
  /** Asks for a sign of life below the tunnel, as a WebSocket ping does; its answer comes as `alive`. */
  ping?(): void;
}

/** What a carrier tells its tunnel. */
export interface CarrierHandlers {
  /** Bytes that arrived; they belong to the tunnel, and the carrier does not use their memory again. */
  data(bytes: Uint8Array): void;
  /** After a write that returned false: most of what was buffered is gone, or all of it. */
  drain(): void;
  /** A sign of life that carried no data: a WebSocket ping or pong. */
  alive(): void;
  /** The last call, made once, whoever ended it. An orderly end by the peer is `peer-app` with code `closed`. */
  closed(reason: CloseReason): void;
}
