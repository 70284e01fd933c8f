import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";

/**
 * Takes WebSockets that come for one of the relay's own names: sessions by WebSocket, and Telebit devices. The first handler
 * that accepts a request gets it.
 */
export interface UpgradeHandler {
  /** Whether the request is this handler's, by its path and headers. Must not touch the request. */
  accepts(request: IncomingMessage): boolean;
  /**
   * Takes the socket over, answers the handshake, and owns the socket from then on; it has an error listener already. `head`
   * is what came behind the request.
   */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
}

/** Answers plain requests for one of the relay's own names, such as a discovery document: undefined where it is not its own. */
export type PageHandler = (request: PageRequest) => Page | undefined;

/** What a page may know of its request, of whatever version of HTTP; the names are those of Node's IncomingMessage. */
export interface PageRequest {
  readonly method?: string | undefined;
  /** Path and query. */
  readonly url?: string | undefined;
  readonly headers: { readonly host?: string | undefined };
  readonly socket: { readonly localPort?: number | undefined };
}

/** A whole answer. */
export interface Page {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}
