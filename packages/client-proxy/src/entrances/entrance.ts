import type { ByteStream, SpliceProgress, SpliceResult } from "@culvert/runtime";

/** Opens forwarded connections for entrances. It logs and counts each that opens, is refused or ends; entrances do not again. */
export interface Connector {
  /**
   * Resolves with the stream, past its answer: from here on raw bytes. Every wait inside has an end of its own.
   * @throws ConnectRefused where the relay or the server said no; TransportError where nobody could be asked.
   */
  connect(request: ConnectRequest): Promise<ForwardedConnection>;
}

/** What an entrance asks of a {@link Connector}. */
export interface ConnectRequest {
  /** Name of the server (P4). */
  readonly server: string;
  /** A service name, a port, or `host:port`. */
  readonly target: string;
  /** P1's ephemeral port; 0 where P1 has none (standard input). */
  readonly clientPort: number;
  /** Which entrance asks, for logs and status. */
  readonly entrance: string;
  /**
   * Where P1's first bytes are read from while the answer is waited for; they go ahead of it. After a refusal they are lost. Not given
   * where P1 is to be told first that the connection is open.
   */
  readonly early?: ByteStream | undefined;
  /** Aborts as soon as P1 is known to be gone. */
  readonly signal: AbortSignal;
}

/** A connection that P4 has opened. */
export interface ForwardedConnection {
  /** The receiver owns it. */
  readonly stream: ByteStream;
  readonly traceId: string;
  /** To be given to the splice, so that status listings see the bytes of an open connection; `left` is P1. */
  readonly progress: SpliceProgress;
  /** To be called once with how it ended. */
  finished(result: SpliceResult): void;
}

/** A way into Culvert that listens: a port mapping or a proxy protocol. */
export interface Entrance {
  /**
   * Binds its addresses; may be called again after a failure.
   * @throws TransportError `address_in_use`, `address_unavailable` or `name_not_found`, naming the address and the entrance.
   */
  start(): Promise<void>;
  /** The first bound address, `127.0.0.1:30381`; undefined while not accepting. */
  readonly address: string | undefined;
  /** A snapshot for status listings. */
  describe(): EntranceStatus;
  /** Closes the listening sockets; open connections go on. */
  stopAccepting(): void;
  /** Resolves when no connection is open; to be awaited together with a deadline. */
  drained(): Promise<void>;
  /** Stops accepting, resets what is still open and resolves when all is released. Never rejects. */
  close(): Promise<void>;
}

/** What a status listing shows of an {@link Entrance}. Counters run from its making. */
export interface EntranceStatus {
  readonly kind: EntranceKind;
  /** Bound addresses; empty while not accepting. */
  readonly addresses: readonly string[];
  /** `lan-box:22` for a mapping; undefined where each connection names its own. */
  readonly destination: string | undefined;
  /** TCP connections from P1 that are open now, whether forwarded yet or not. */
  readonly open: number;
  readonly accepted: number;
  /** Connections that reached their target. */
  readonly forwarded: number;
  /** Connections turned away: limit, bad handshake, refusal or failure. */
  readonly refused: number;
  /** `atMs` is wall-clock time since 1970-01-01 UTC. */
  readonly lastRefusal: { readonly atMs: number; readonly text: string } | undefined;
}

/** The kinds of listening entrances. */
export type EntranceKind = "port" | "socks5" | "http-connect";
