import type { Endpoint } from "../endpoint.ts";
import type { TcpConnection } from "../tcp/tcp-connection.ts";

/** Takes an established connection and owns it. Must not throw. */
export type Acceptor = (connection: TcpConnection) => void;

/** How to listen. */
export interface ListenOptions {
  /** Handshakes under way at most; SYNs beyond are dropped, and come again. 128 if absent. */
  readonly backlog?: number;
}

/** A port that takes connections. Whoever listened closes it; its connections stay. */
export interface TcpListener {
  /** `0.0.0.0` of a listener of all own addresses. */
  readonly local: Endpoint;
  /** Takes no further connections; handshakes under way end by reset. Closing twice does nothing. */
  close(): void;
}

/** Handshakes that a listener lets go on at once. */
export const defaultBacklog = 128;
