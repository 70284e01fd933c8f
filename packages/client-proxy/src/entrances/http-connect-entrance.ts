import {
  createServer,
  STATUS_CODES,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import {
  formatMillis,
  systemCode,
  TransportError,
  type Clock,
  type Millis,
} from "@culvert/runtime";
import { rateLimited, type Log } from "@culvert/telemetry";
import { Status } from "@culvert/wire";
import { answerAndClose } from "./answer-and-close.ts";
import { ConnectRefused } from "./connect-refused.ts";
import { entranceDefaults } from "./entrance-defaults.ts";
import type { Connector, Entrance, EntranceStatus } from "./entrance.ts";
import { Forwarder } from "./forwarder.ts";
import { proxyDestination } from "./proxy-destination.ts";
import { ProxyUsers, type Password } from "./proxy-users.ts";
import { TcpListener } from "./tcp-listener.ts";

/** What a {@link HttpConnectEntrance} needs. */
export interface HttpConnectEntranceDeps {
  readonly connector: Connector;
  readonly log: Log;
  readonly clock: Clock;
}

/** Where a {@link HttpConnectEntrance} listens and for whom. */
export interface HttpConnectEntranceOptions {
  /** An address, a name, or `localhost` for both loopback addresses. */
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  /** User names and passwords (Basic, RFC 7617); without any, nobody is asked. */
  readonly users?: ReadonlyMap<string, Password> | undefined;
  /** Default: `entranceDefaults.maxConnections`. */
  readonly maxConnections?: number | undefined;
  /** From accepting to a whole request. Default: `entranceDefaults.handshakeTimeout`. */
  readonly handshakeTimeout?: Millis | undefined;
}

/**
 * An HTTP proxy that knows CONNECT alone (RFC 9110 §9.3.6), whose host names are servers: `CONNECT lan-box:22` or
 * `lan-box.culvert:22`. A refusal is answered with its reason in one line.
 */
export class HttpConnectEntrance implements Entrance {
  readonly #deps: HttpConnectEntranceDeps;
  readonly #log: Log;
  readonly #name: string;
  readonly #users: ProxyUsers;
  readonly #handshakeTimeout: Millis;
  readonly #forwarder: Forwarder;
  readonly #listener: TcpListener;
  /** Parses; it never listens, but is given the listener's sockets. */
  readonly #http: Server;
  readonly #handshakes = new WeakMap<Duplex, Handshake>();

  constructor(deps: HttpConnectEntranceDeps, options: HttpConnectEntranceOptions) {
    this.#deps = deps;
    this.#log = rateLimited(deps.log, deps.clock, entranceDefaults.warningRate);
    const { host, port } = options;
    this.#name = `http ${host}:${port}`;
    this.#users = new ProxyUsers(options.users ?? new Map<string, Password>());
    this.#handshakeTimeout = options.handshakeTimeout ?? entranceDefaults.handshakeTimeout;
    this.#forwarder = new Forwarder(deps, { entrance: this.#name });
    this.#http = createServer({
      maxHeaderSize: maxHeaderBytes,
      noDelay: true,
      insecureHTTPParser: false,
    });
    this.#http.maxHeadersCount = maxHeaders;
    this.#http.on("connect", (request, _socket, head) => this.#connect(request, head));
    this.#http.on("request", (request, response) => this.#refuseMethod(request, response));
    this.#http.on("clientError", (error, socket) => this.#refuseGarbage(error, socket));
    this.#listener = new TcpListener(
      {
        log: this.#log,
        onConnection: (socket) => this.#shakeHands(socket),
        onLimit: (text) => this.#forwarder.countRefusal(text),
      },
      {
        name: "HTTP proxy",
        host,
        port,
        maxConnections: options.maxConnections ?? entranceDefaults.maxConnections,
      },
    );
  }

  start(): Promise<void> {
    return this.#listener.start();
  }

  get address(): string | undefined {
    return this.#listener.addresses[0];
  }

  describe(): EntranceStatus {
    return {
      kind: "http-connect",
      destination: undefined,
      ...this.#listener.counts,
      ...this.#forwarder.counts,
    };
  }

  stopAccepting(): void {
    this.#listener.stopAccepting();
  }

  drained(): Promise<void> {
    return this.#listener.drained();
  }

  close(): Promise<void> {
    return this.#listener.close();
  }

  #shakeHands(socket: Socket): void {
    const timer = this.#deps.clock.setTimer(this.#handshakeTimeout, () => {
      this.#handshakes.delete(socket);
      this.#countRefusal(socket, `no whole request within ${formatMillis(this.#handshakeTimeout)}`);
      socket.resetAndDestroy();
    });
    const end = (): void => {
      timer.cancel();
      this.#handshakes.delete(socket);
    };
    this.#handshakes.set(socket, { socket, end });
    socket.once("close", end);
    this.#http.emit("connection", socket);
  }

  #connect(request: IncomingMessage, head: Buffer): void {
    const { socket } = request;
    this.#handshakes.get(socket)?.end();
    // Nobody reads from here on until the connection is open; the parser has left its reading on.
    socket.pause();
    if (head.length > 0) socket.unshift(head);
    if (this.#users.required && !this.#isAuthorized(request)) {
      this.#refuse(socket, 407, "the proxy asks for a user and password", [
        'Proxy-Authenticate: Basic realm="culvert", charset="UTF-8"',
      ]);
      return;
    }
    const authority = /^(?:\[([^\]]*)\]|([^:]*)):(\d{1,5})$/.exec(request.url ?? "");
    if (authority === null) {
      this.#refuse(socket, 400, "CONNECT takes host:port, such as lan-box:22");
      return;
    }
    const [, bracketed, plain = "", port] = authority;
    const found = proxyDestination(bracketed ?? plain, Number(port));
    if (found.kind !== "found") {
      this.#refuse(socket, found.kind === "address" ? 404 : 400, found.text);
      return;
    }
    void this.#forwarder.forward(socket, found.destination, {
      opened: Buffer.from("HTTP/1.1 200 Connection established\r\n\r\n"),
      refused: (refused, error) => this.#answer(refused, httpStatusFor(error), error.message),
    });
  }

  #isAuthorized({ headers }: IncomingMessage): boolean {
    const encoded = /^basic +([A-Za-z0-9+/]+=*) *$/i.exec(
      headers["proxy-authorization"] ?? "",
    )?.[1];
    if (encoded === undefined) return false;
    const decoded = Buffer.from(encoded, "base64");
    const colon = decoded.indexOf(":");
    if (colon === -1) return false;
    return this.#users.verify(decoded.subarray(0, colon), decoded.subarray(colon + 1));
  }

  #refuseMethod({ method, socket }: IncomingMessage, response: ServerResponse): void {
    const text = `this proxy knows CONNECT alone, and not ${method ?? "this"}`;
    this.#countRefusal(socket, text);
    response.writeHead(405, { allow: "CONNECT", connection: "close" });
    response.end(`${text}\n`);
  }

  #refuseGarbage(error: Error, from: Duplex): void {
    const handshake = this.#handshakes.get(from);
    if (handshake === undefined || from.destroyed) return;
    handshake.end();
    const status = systemCode(error) === "HPE_HEADER_OVERFLOW" ? 431 : 400;
    this.#refuse(handshake.socket, status, `no HTTP request: ${error.message}`);
  }

  #refuse(socket: Socket, status: number, text: string, headers: readonly string[] = []): void {
    this.#countRefusal(socket, text);
    this.#answer(socket, status, text, headers);
  }

  #countRefusal(socket: Socket, text: string): void {
    this.#forwarder.countRefusal(text);
    this.#log.warn("client.connection.refused", {
      entrance: this.#name,
      clientPort: socket.remotePort,
      reason: text,
    });
  }

  #answer(socket: Socket, status: number, text: string, headers: readonly string[] = []): void {
    const body = `${text.replaceAll(/[\r\n]+/g, " ")}\n`;
    const answer = [
      `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}`,
      ...headers,
      "Content-Type: text/plain; charset=utf-8",
      `Content-Length: ${Buffer.byteLength(body)}`,
      "Connection: close",
      "",
      body,
    ].join("\r\n");
    answerAndClose(socket, answer, {
      clock: this.#deps.clock,
      linger: entranceDefaults.lingerTimeout,
    });
  }
}

/** A connection without a whole request as yet. */
interface Handshake {
  readonly socket: Socket;
  /** Ends the wait. */
  readonly end: () => void;
}

/** What to answer an HTTP client whose connection failed (RFC 9110 §15.6). */
export function httpStatusFor(error: Error): number {
  if (error instanceof ConnectRefused) return httpByStatus.get(error.status) ?? 502;
  if (!(error instanceof TransportError)) return 502;
  switch (error.code) {
    case "no_session":
    case "connection_closed":
      return 503;
    case "timeout":
      return 504;
    default:
      return 502;
  }
}

const httpByStatus = new Map<number, number>([
  [Status.unknown_server, 404],
  [Status.server_offline, 503],
  [Status.permission_denied_by_relay, 403],
  [Status.permission_denied_by_server, 403],
  [Status.target_refused, 502],
  [Status.target_unreachable, 502],
  [Status.target_timeout, 504],
  [Status.resource_limit, 503],
  [Status.draining, 503],
  [Status.superseded, 503],
]);
/** A CONNECT has a line, a host and credentials; browsers add little to that. */
const maxHeaderBytes = 8192;
const maxHeaders = 64;
