import type { ByteStream, CloseReason } from "@culvert/runtime";
import type { PeerId } from "@culvert/identity";

/** One authenticated link between two processes, whatever carries it. */
export interface Session {
  /** What carries the session, for logs and status: `quic/quinn`, `memory`. */
  readonly transport: string;
  readonly peer: PeerId;
  /** Where the peer is, for logs and status: `192.0.2.7:41234`. */
  readonly remote: string;
  /**
   * Opens a stream; the caller owns it.
   * @throws LimitError `too_many_streams`; TransportError `connection_closed`.
   */
  openStream(): Promise<ByteStream>;
  /** Streams the peer opened, in order; one consumer, who owns each. Ends when the session closes. */
  readonly streams: AsyncIterable<ByteStream>;
  /**
   * Resolves when what our ended streams have sent has arrived at the peer, as far as the transport can tell, or when the session
   * is over. To be waited for, with a bound, before a {@link close} that should lose nothing. Never rejects.
   */
  drain(): Promise<void>;
  /** Closes at once: every stream is reset. The first reason given stands. */
  close(reason: CloseReason): void;
  /** Settles, and never rejects, when the session is over. */
  readonly closed: Promise<CloseReason>;
  stats(): SessionStats;
}

/** Counters of a session. */
export interface SessionStats {
  readonly sentBytes: number;
  readonly receivedBytes: number;
  readonly openStreams: number;
  readonly rttMs: number;
}
