import { createServer, ServerResponse, type IncomingMessage, type Server } from "node:http";
import {
  performServerHandshake,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { Duplex } from "node:stream";
import { systemCode, type Clock, type Millis } from "@culvert/runtime";
import { errorPage, errorTitle, type ErrorStatus } from "./error-page.ts";
import type { Exchange } from "./exchange.ts";
import { hasBody, isWebSocket, type Upgrade } from "./forward-upgrade.ts";
import { http1Exchange } from "./http1-exchange.ts";
import { http2Exchange } from "./http2-exchange.ts";
import { lingeringEnd } from "./lingering-end.ts";
import type { PublicClient } from "./public-client.ts";
import type { WebLimits } from "./web-options.ts";

/** Who answers what the front has read. Neither may throw. */
export interface HttpHandler {
  request(exchange: Exchange): void;
  /** Owns the socket from now on. */
  upgrade(upgrade: Upgrade): void;
  /** A request that could not be read, and was answered. */
  refused(status: ErrorStatus): void;
}

/** Reads HTTP/1.1 and HTTP/2 from sockets that others have accepted, with Node's parsers in their strict mode. */
export class HttpFront {
  readonly #server: Server;
  readonly #handler: HttpHandler;
  readonly #clock: Clock;
  readonly #limits: WebLimits;
  readonly #sessions = new Set<ServerHttp2Session>();
  readonly #clients = new WeakMap<Duplex, PublicClient>();
  /** Tells that a socket's first head is no longer waited for. */
  readonly #headCame = new WeakMap<Duplex, () => void>();
  /** Sockets whose client was told that it is not heard any more. Node still reads requests from them. */
  readonly #refused = new WeakSet<Duplex>();

  constructor(handler: HttpHandler, clock: Clock, limits: WebLimits) {
    this.#handler = handler;
    this.#clock = clock;
    this.#limits = limits;
    this.#server = createServer({
      maxHeaderSize: limits.headBytes,
      headersTimeout: limits.headDeadline,
      // A body may take as long as it takes: its bound is silence.
      requestTimeout: 0,
      keepAliveTimeout: limits.keepAlive,
      connectionsCheckingInterval: Math.min(limits.headDeadline, mostCheckingMs),
    });
    this.#server.timeout = limits.idleTimeout;
    this.#server.on("request", (request, response) => this.#onRequest(request, response));
    this.#server.on("upgrade", (request, socket, head) => this.#onUpgrade(request, socket, head));
    this.#server.on("clientError", (error, socket) => this.#onClientError(error, socket));
    // Node begins to watch for slow heads when its server listens. This one never does: its sockets are given to it.
    this.#server.emit("listening");
  }

  /**
   * Takes a socket on which HTTP/1.1 comes next; it may be TLS, decrypted. `headWithin` is what is left of the time for its first head;
   * default: all of it.
   */
  http1(socket: Duplex, client: PublicClient, headWithin?: Millis): void {
    this.#clients.set(socket, client);
    if (headWithin !== undefined) {
      this.#awaitHead(socket, headWithin, () => {
        this.#refuse(socket, 408);
      });
    }
    this.#server.emit("connection", socket);
    socket.resume();
  }

  /** Takes a TLS socket that has agreed on HTTP/2. */
  http2(socket: Duplex, client: PublicClient): void {
    const { headBytes, headDeadline, idleTimeout, requestsPerConnection } = this.#limits;
    // HTTP/2 has ends of its own; a FIN below it means that the client is gone.
    socket.allowHalfOpen = false;
    const session = performServerHandshake(socket, {
      maxSessionMemory: mostHttp2Megabytes,
      settings: {
        enablePush: false,
        maxConcurrentStreams: requestsPerConnection,
        maxHeaderListSize: headBytes,
        initialWindowSize: http2WindowBytes,
      },
    });
    this.#sessions.add(session);
    session.once("close", () => this.#sessions.delete(session));
    session.on("error", () => socket.destroy());
    session.setTimeout(idleTimeout, () => session.destroy());
    // A client's SETTINGS are its first word (RFC 9113 §3.4). When its first request comes is its own affair.
    this.#awaitHead(socket, headDeadline, () => {
      this.#handler.refused(408);
      session.destroy();
    });
    session.once("remoteSettings", () => this.#headCame.get(socket)?.());
    session.on(
      "stream",
      (stream: ServerHttp2Stream, _headers: unknown, _flags: number, raw: string[]) => {
        stream.on("error", () => undefined);
        this.#handler.request(http2Exchange(stream, raw, client));
      },
    );
    client.signal.addEventListener("abort", () => session.destroy(), { once: true });
  }

  /** Ends connections that wait for a request, and takes no more than the requests under way from those of HTTP/2. */
  endIdle(): void {
    this.#server.closeIdleConnections();
    for (const session of this.#sessions) session.close();
  }

  /** Stops watching; the sockets are their owners'. */
  close(): void {
    this.#server.close();
  }

  #awaitHead(socket: Duplex, within: Millis, late: () => void): void {
    const timer = this.#clock.setTimer(within, late, { unref: true });
    const done = (): void => timer.cancel();
    this.#headCame.set(socket, done);
    socket.once("close", done);
  }

  #onRequest(request: IncomingMessage, response: ServerResponse): void {
    this.#headCame.get(request.socket)?.();
    response.on("error", () => undefined);
    request.on("error", () => undefined);
    const client = this.#clients.get(request.socket);
    if (this.#refused.has(request.socket)) {
      // What was refused has its answer, which may be on its way yet and has its own end.
      request.resume();
      return;
    }
    if (client === undefined) request.socket.destroy();
    else this.#handler.request(http1Exchange(request, response, client));
  }

  #onUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    this.#headCame.get(socket)?.();
    socket.on("error", () => undefined);
    const client = this.#clients.get(socket);
    if (this.#refused.has(socket)) {
      socket.resume();
      return;
    }
    if (client === undefined) {
      socket.destroy();
      return;
    }
    const response = responseFor(request);
    if (response === undefined) {
      // An answer is still on its way. No client of a WebSocket asks for it before that has come.
      socket.destroy();
      return;
    }
    response.on("error", () => undefined);
    response.shouldKeepAlive = false;
    // A response that was made by hand hears nothing of its socket.
    socket.once("close", () => response.emit("close"));
    response.once("finish", () => {
      response.detachSocket(request.socket);
      socket.end();
    });
    const exchange = http1Exchange(request, response, client);
    if (isWebSocket(request)) {
      const opened = (): void => void request.socket.setTimeout(0);
      this.#handler.upgrade({ exchange, request, response, socket, head, opened });
    } else if (hasBody(request.headers)) {
      // Where the body ends is not known any more: Node has stopped reading HTTP.
      this.#onClientError(new Error("an upgrade with a body"), socket);
    } else {
      // To other protocols nobody switches: the request is answered as if it had not asked (RFC 9110 §7.8).
      this.#handler.request(exchange);
    }
  }

  #onClientError(error: Error, socket: Duplex): void {
    // Node says it again for whatever the client sends on.
    if (socket.writableEnded) return;
    const status = statusOf(error);
    if (status === undefined || !socket.writable) {
      socket.destroy();
      return;
    }
    this.#refuse(socket, status);
  }

  #refuse(socket: Duplex, status: ErrorStatus): void {
    this.#headCame.get(socket)?.();
    this.#refused.add(socket);
    this.#handler.refused(status);
    // A page now would be taken for the answer of the request before.
    if ((this.#clients.get(socket)?.openRequests ?? 0) > 0) socket.destroy();
    else lingeringEnd(socket, rawErrorPage(status), this.#clock);
  }
}

/**
 * The answer to a request that Node made none for; undefined while another has the socket. Only Node knows that: it gives answers of its
 * own too, to a request without Host and to one that expects what nobody does.
 */
function responseFor(request: IncomingMessage): ServerResponse | undefined {
  const response = new ServerResponse(request);
  try {
    response.assignSocket(request.socket);
  } catch (error) {
    if (systemCode(error) === "ERR_HTTP_SOCKET_ASSIGNED") return undefined;
    throw error;
  }
  return response;
}

/** An error page as a whole answer of HTTP/1.1, after which the connection ends. */
export function rawErrorPage(status: ErrorStatus): string {
  const { contentType, body } = errorPage(status);
  const head = [
    `HTTP/1.1 ${status} ${errorTitle(status)}`,
    `content-type: ${contentType}`,
    `content-length: ${Buffer.byteLength(body)}`,
    "connection: close",
  ];
  return `${head.join("\r\n")}\r\n\r\n${body}`;
}

/** The status for what Node could not read; undefined where nobody is left to read it. */
function statusOf(error: Error): ErrorStatus | undefined {
  const code = systemCode(error);
  if (code === "HPE_HEADER_OVERFLOW") return 431;
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") return 408;
  return code === "ECONNRESET" || code === "EPIPE" ? undefined : 400;
}

const mostCheckingMs = 2_000;
const mostHttp2Megabytes = 16;
/** Of one request's body; Node's own 64 KiB holds uploads to a window per round trip. */
const http2WindowBytes = 262_144;
