import { millis, type Millis } from "@culvert/runtime";

/** Tuning of a connection. Every default stands in {@link quicDefaults} with its reason. */
export interface QuicSettings {
  /** Largest UDP payload sent by the quiche engine, bytes; 1,200 to 16,383. quinn finds it by path MTU discovery. */
  readonly datagramBytes: number;
  /** A handshake that takes longer is given up. */
  readonly handshakeTimeout: Millis;
  /** A connection is dead after this much silence. */
  readonly idleTimeout: Millis;
  /**
   * After this much silence a PING is sent, by quiche's dialled side a quarter later; well below half the idle time-out, so that one
   * loss is survived.
   */
  readonly keepAlive: Millis;
  /** Most bytes the peer may send on one stream ahead of its reader. */
  readonly streamWindowBytes: number;
  /**
   * Most bytes the peer may send on the whole connection ahead of its readers. quinn holds it; quiche, which leaks this credit,
   * shares it out over streams instead, so that very many stalled streams may hold more.
   */
  readonly connectionWindowBytes: number;
  /** Streams the peer may have open at a time. */
  readonly maxStreams: number;
  /** UDP socket buffers asked of the kernel, bytes. */
  readonly socketBufferBytes: number;
  /** With more handshakes than this under way, a listener asks new ones for proof of address (Retry, RFC 9000 §8.1.2). */
  readonly retryAboveHalfOpen: number;
  /** With this many handshakes under way, a listener drops new ones, and counts them. */
  readonly maxHalfOpen: number;
}

/** Defaults of {@link QuicSettings}. */
export const quicDefaults: QuicSettings = {
  // Fits an Ethernet path with any tunnel in between that still carries 1,378-byte packets.
  datagramBytes: 1350,
  handshakeTimeout: millis(5_000),
  // A frozen peer is noticed within 10 s, with several lost PINGs to spare.
  idleTimeout: millis(8_000),
  keepAlive: millis(1_000),
  // 100 ms x 1 Gbit/s = 12.5 MB must be in flight on one stream.
  streamWindowBytes: 16 * 1024 * 1024,
  // Four such streams, or many slow ones, before one connection's readers hold each other up.
  connectionWindowBytes: 64 * 1024 * 1024,
  maxStreams: 16_384,
  socketBufferBytes: 4 * 1024 * 1024,
  retryAboveHalfOpen: 32,
  maxHalfOpen: 1024,
};

/** Largest UDP payload quiche can send; used where both ends share a machine, since loopback carries 64 KiB. */
export const largestDatagramBytes = 16_383;
