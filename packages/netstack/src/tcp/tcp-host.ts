import type { Ipv4Address } from "../packet/index.ts";
import type { ByteReader } from "./receive-side.ts";
import type { TcpSettings } from "./tcp-settings.ts";
import type { UnreadLedger } from "./unread-ledger.ts";

/** Both ends of a connection, in the form packets have them. */
export interface TcpTuple {
  readonly localAddress: Ipv4Address;
  readonly localPort: number;
  readonly remoteAddress: Ipv4Address;
  readonly remotePort: number;
}

/** The initial numbers of a connection: unpredictable (RFC 9293 §3.4.1, RFC 7323 §7.1). */
export interface TcpSecrets {
  readonly initialSequence: number;
  readonly timestampOffset: number;
}

/** A connection as its stack sees it. */
export interface HostedConnection {
  readonly tuple: TcpTuple;
  /** Place in the stack's timer heap; the heap's own. */
  heapIndex: number;
  /** Whether the stack has it on its list for this turn; the stack's own. */
  isListed: boolean;
  /** When {@link wake} is to be called; Infinity for never. */
  readonly dueMs: number;
  /** Something is due. */
  wake(nowMs: number): void;
  /** Sends what is due at the end of a turn: data, and what the peer should know. */
  flush(nowMs: number): void;
  /** Ends the connection at once, by RST where the peer knows of it (RFC 9293 §3.10.5). */
  abort(): void;
}

/** What a connection needs of its stack. */
export interface TcpHost {
  readonly settings: TcpSettings;
  readonly mtu: number;
  /** What all connections keep for their readers. */
  readonly unread: UnreadLedger;
  now(): number;
  /** Takes one whole packet and owns it. */
  output(packet: Uint8Array, destination: Ipv4Address): void;
  /** {@link HostedConnection.flush} is to be called before this turn of the event loop ends. */
  changed(connection: HostedConnection): void;
  /** Whether what takes the packets has room for more data; absent where it always has. */
  readonly hasRoom?: (() => boolean) | undefined;
  /** The connection holds data back until there is room; {@link changed} for it follows then. */
  awaitsRoom?(connection: HostedConnection): void;
  /** {@link HostedConnection.dueMs} has changed. */
  reschedule(connection: HostedConnection): void;
  /** The connection has closed first, and only remembers (TIME-WAIT). */
  waitsOut(connection: HostedConnection): void;
  /** The connection is over; nothing of it is left. */
  released(connection: HostedConnection): void;
}

/** Whoever uses a connection. Called in the middle of the engine's work, and may call it back. */
export interface TcpUser extends ByteReader {
  /** The handshake is over. */
  established(): void;
  /** The peer sends nothing more; all of it was taken. */
  ended(): void;
  /** There is room to write again. */
  writable(): void;
  /** All that was written, and FIN, has arrived at the peer. */
  delivered(): void;
  /** The connection is over before its time. */
  failed(error: Error): void;
}
