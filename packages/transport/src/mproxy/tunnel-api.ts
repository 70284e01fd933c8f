import type { ByteStream, Clock, CloseReason, Millis } from "@culvert/runtime";
import type { ConnectionId, ControlMessage } from "@culvert/wire";
import type { Carrier } from "./carrier.ts";

/**
 * How the two ends of a tunnel talk, and which of them we are. `culvert-…`: both are ours; the dialler's and the listener's
 * connections have ids of their own. `telebit-relay`: we are the relay of a Telebit device and open connections towards it.
 * `telebit-device`: we are the device, and the relay opens them.
 */
export type TunnelDialect =
  "culvert-dialler" | "culvert-listener" | "telebit-relay" | "telebit-device";

/** What a connection within a tunnel is for; it goes with every frame of it. */
export interface ConnectionMeta {
  /** Names the connection; unique among those open, kept exactly as given. */
  readonly id: ConnectionId;
  /** What is spoken on it: `https`, `http`, `tcp`. */
  readonly service: string;
  /** The public port as a decimal number, or empty. */
  readonly servicePort: string;
  /** The host name that was asked for, or empty. */
  readonly name: string;
}

/** Tuning and limits of a tunnel. Every default stands in {@link tunnelDefaults} with its reason. */
export interface TunnelSettings {
  /** Most bytes the peer may send on one connection ahead of its reader (Culvert's dialects). */
  readonly windowBytes: number;
  /** With this many bytes waiting for a reader the peer is asked to pause (Telebit). */
  readonly pauseAboveBytes: number;
  /** With this many bytes waiting for a reader a connection is reset, since the peer does not pause (Telebit). */
  readonly maxUnreadBytes: number;
  /** With this many bytes waiting for readers on all connections together, nothing more is taken from the carrier. */
  readonly maxUnreadBytesOverAll: number;
  /** Most bytes handed to the carrier ahead of the network, so that a new connection's first bytes never wait long. */
  readonly aheadBytes: number;
  /** Largest body of a frame we send, bytes. */
  readonly frameBytes: number;
  /** Largest body of a frame we take, bytes. */
  readonly maxFrameBytes: number;
  /** Largest control message we take, bytes. */
  readonly maxControlBytes: number;
  /** Most bytes of answers and refusals that may wait to be sent; a peer that makes us owe more is closed. */
  readonly maxOwedBytes: number;
  /** Connections that may be open at a time, whoever opened them. */
  readonly maxStreams: number;
  /** After this much silence, heard or sent, a ping is sent. */
  readonly keepAlive: Millis;
  /** A tunnel is dead after this much silence. */
  readonly idleTimeout: Millis;
  /** After the peer's `end`, an end that knows no half-close is destroyed with this much time without progress. */
  readonly endLinger: Millis;
}

/** What both ends agreed on when connections are allowed. */
export interface TunnelAgreement {
  /** Most bytes we may send on one connection ahead of the peer's reader: the window the peer said (Culvert's dialects). */
  readonly sendWindowBytes?: number | undefined;
  /** Connections the peer lets us have open at a time. */
  readonly maxStreams?: number | undefined;
  /** Whether the peer said that its `end` ends one direction alone (Culvert's dialects); where it did not, an `end` is for both. */
  readonly halfClose?: boolean | undefined;
}

/** The control messages of a tunnel, for whoever proves identities or grants names over it. */
export interface TunnelControl {
  /**
   * Sends a message, ahead of all data. Dropped where the tunnel is over.
   * @throws WireError `frame_too_large`.
   */
  send(message: ControlMessage): void;
  /**
   * Takes every message of the peer from now on, in place of the handler before. What the handler does at once, such as
   * {@link Tunnel.allowStreams}, holds for the frame right behind the message. In Culvert's dialects the tunnel keeps `ping`, its
   * answer and `close` to itself. What it throws ends the tunnel: a WireError as the peer's fault.
   */
  on(handler: (message: ControlMessage) => void): void;
}

/** Takes a connection the peer opened, and owns it. Error listeners are attached; the handler may let it wait. */
export type ConnectionHandler = (meta: ConnectionMeta, stream: ByteStream) => void;

/** What a tunnel is made from. */
export interface TunnelDeps {
  readonly clock: Clock;
  /** Not started yet; the tunnel starts it at once and owns it. */
  readonly carrier: Carrier;
}

/** How a tunnel behaves. */
export interface TunnelOptions {
  readonly dialect: TunnelDialect;
  /** What differs from {@link tunnelDefaults}. */
  readonly settings?: Partial<TunnelSettings> | undefined;
}

/** Many connections over one carrier, which it owns (PROTOCOL.md §11). */
export interface Tunnel {
  /** Where the peer is, for logs and status. */
  readonly remote: string;
  /** What carries it. */
  readonly carrier: Carrier["kind"];
  readonly dialect: TunnelDialect;
  readonly control: TunnelControl;
  /**
   * Lets connections be opened from now on; before this every frame but control is the peer's fault. Called once.
   * In Telebit's dialects there is nothing to agree on.
   */
  allowStreams(onConnection: ConnectionHandler, agreement?: TunnelAgreement): void;
  /**
   * Opens a connection with `meta.id`; the caller owns it. `firstBytes` travel in the frame that opens it, before anything written; their memory
   * belongs to the tunnel from then on.
   * @throws WireError where `meta` cannot stand in a header (comma, control character, longer than 255 bytes together), LimitError
   * `too_many_streams`, TransportError `connection_closed`.
   */
  open(meta: ConnectionMeta, firstBytes?: Uint8Array): ByteStream;
  /** As of `Session`: what our ended connections have sent has arrived, or the tunnel is over. */
  drain(): Promise<void>;
  /** Closes at once: connections are reset, the peer is told why. The first reason given stands. */
  close(reason: CloseReason): void;
  /** Settles, and never rejects, when the tunnel is over. */
  readonly closed: Promise<CloseReason>;
  stats(): TunnelStats;
}

/** Counters of a tunnel since its start, and how it stands. */
export interface TunnelStats {
  /** Bytes of connections, without frames around them. */
  readonly sentBytes: number;
  readonly receivedBytes: number;
  readonly sentFrames: number;
  readonly receivedFrames: number;
  readonly openStreams: number;
  /** Bytes that arrived and wait for their readers. */
  readonly unreadBytes: number;
  /** Smoothed; 0 where it was not measured. */
  readonly rttMs: number;
  /** What was thrown away or refused, by reason. */
  readonly drops: Readonly<Record<TunnelDropReason, number>>;
}

/**
 * Why something of the peer's was thrown away or refused: a frame of a connection that is over, of one that never was, a connection
 * above the limit, one whose sender ignores the window, bytes that came after our reader had gone.
 */
export type TunnelDropReason =
  "late_frame" | "unknown_connection" | "too_many_streams" | "window_exceeded" | "reader_gone";
