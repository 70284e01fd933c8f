import type { Duplex } from "node:stream";
import type { Clock, CloseReason, Random } from "@culvert/runtime";
import type { Identity, PeerId } from "@culvert/identity";
import type { QuicSettings } from "./settings.ts";

/** The engines Culvert has. `memory` joins two ends inside one process, for tests. */
export type EngineName = "quiche" | "quinn" | "memory";

/** An IP address literal (v4, or v6 without brackets) and a UDP port. */
export interface UdpAddress {
  readonly host: string;
  readonly port: number;
}

/** What every engine is built from. */
export interface EngineDeps {
  readonly clock: Clock;
  readonly random: Random;
  /** Told of what an operator should read once, such as socket buffers the kernel made smaller. */
  readonly warn: (event: EngineWarning) => void;
}

/** Something an operator can mend. */
export interface EngineWarning {
  readonly code: "udp_buffer_small" | "datagram_too_large" | "engine_fault";
  /** What is wrong and which setting mends it. */
  readonly text: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** One implementation of QUIC v1 with libp2p identities (github.com/libp2p/specs, tls/tls.md). */
export interface QuicEngine {
  readonly name: EngineName;
  /**
   * Binds a UDP port and accepts connections whose handshake and identity are proved.
   * @throws TransportError `address_in_use` or `address_unavailable`, naming the address.
   */
  listen(options: ListenOptions): Promise<QuicListener>;
  /**
   * Dials one address. The connection is established and the peer's identity proved when this resolves.
   * @throws TransportError `wrong_peer`, `handshake_failed`, `timeout`, `aborted` or `dial_failed`.
   */
  dial(options: DialOptions): Promise<QuicConnection>;
}

/** Where and as whom to listen. Port 0 takes any free port. */
export interface ListenOptions {
  readonly address: UdpAddress;
  readonly identity: Identity;
  readonly settings: QuicSettings;
}

/** Whom to dial, and as whom. */
export interface DialOptions {
  readonly address: UdpAddress;
  readonly identity: Identity;
  /** The only peer accepted at the other end. */
  readonly expectedPeer: PeerId;
  readonly settings: QuicSettings;
  readonly signal?: AbortSignal | undefined;
}

/** A bound UDP port. Owned by who listened; {@link close} ends its connections too. */
export interface QuicListener {
  readonly engine: EngineName;
  readonly address: UdpAddress;
  /** Established connections, in order; one consumer. Ends when the listener closes. */
  readonly connections: AsyncIterable<QuicConnection>;
  stats(): QuicListenerStats;
  close(): Promise<void>;
}

/** Counters of a listener since its start; where an engine cannot see one, it stays 0. */
export interface QuicListenerStats {
  readonly handshakesStarted: number;
  readonly handshakesCompleted: number;
  readonly handshakesFailed: number;
  /** Handshakes under way now. */
  readonly halfOpen: number;
  readonly retriesSent: number;
  /** Datagrams thrown away, by reason. */
  readonly drops: Readonly<Record<DatagramDropReason, number>>;
}

/** Why a received datagram was thrown away unread. */
export type DatagramDropReason =
  | "malformed"
  | "unknown_connection"
  | "bad_token"
  | "half_open_limit"
  | "rate_limit"
  | "queue_full";

/** One authenticated QUIC connection. */
export interface QuicConnection {
  readonly engine: EngineName;
  readonly peer: PeerId;
  /** The peer's address as last seen. */
  readonly remote: UdpAddress;
  /** Streams the peer opened, in order; one consumer. Ends when the connection closes. A full queue resets the stream. */
  readonly streams: AsyncIterable<QuicStream>;
  /**
   * Opens a bidirectional stream.
   * @throws LimitError `too_many_streams` if the peer allows no more now; TransportError `connection_closed`.
   */
  openStream(): Promise<QuicStream>;
  /**
   * Resolves when what our ended streams have sent, FIN included, has arrived at the peer, as far as the engine can tell, or when
   * the connection is over. FIN handed over is not FIN delivered: whoever closes a connection that has carried streams waits for
   * this first, with a bound of its own, since a peer that does not read can hold it up for ever. Never rejects.
   */
  drain(): Promise<void>;
  /** Closes at once: streams are reset, the peer is told where the engine can. The first reason given stands. */
  close(reason: CloseReason): void;
  /** Settles, and never rejects, when nothing more can be sent or received. */
  readonly closed: Promise<CloseReason>;
  stats(): QuicConnectionStats;
}

/** Counters of a connection; `rttMs` is the latest smoothed estimate. */
export interface QuicConnectionStats {
  readonly sentBytes: number;
  readonly receivedBytes: number;
  readonly sentDatagrams: number;
  readonly receivedDatagrams: number;
  readonly lostDatagrams: number;
  readonly rttMs: number;
  readonly openStreams: number;
}

/**
 * A bidirectional QUIC stream as a Node Duplex with `allowHalfOpen` (RFC 9000 §2, §3).
 *
 * `end()` sends FIN. `destroy(error)` resets the sending part and stops the receiving part, with code 0 where the engine has no
 * codes. When the peer resets or stops one direction, the stream is destroyed with TransportError `stream_reset` or
 * `stream_stopped`, unless somebody listens for `peerreset`: then only that direction ends and the other goes on.
 */
export interface QuicStream extends Duplex {
  /** The stream id, unique within its connection (RFC 9000 §2.1). */
  readonly streamId: number;
  /** Resets the sending part only; what was not yet acknowledged may be lost. */
  resetSending(code?: number): void;
  /** Asks the peer to stop sending, and throws away what still arrives. */
  stopReceiving(code?: number): void;
}

/** Event `peerreset` of a {@link QuicStream}: which of our directions the peer ended, and its code. */
export interface PeerReset {
  readonly direction: "receiving" | "sending";
  readonly code: number;
}
