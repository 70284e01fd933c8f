import {
  createServer,
  request,
  STATUS_CODES,
  type ClientRequest,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from "node:http";
import type { Duplex } from "node:stream";
import { errorText, millis, splice, type ByteStream, type Clock } from "@culvert/runtime";
import { badGatewayPage } from "./bad-gateway.ts";
import type { Exchange } from "./exchange.ts";
import { forwardedHeaders, passableHeaders } from "./forwarded-headers.ts";
import { requestFault } from "./request-fault.ts";
import { ServiceAgent } from "./service-agent.ts";
import { SilenceWatch } from "./silence-watch.ts";

/** One connection whose requests are to be forwarded. */
export interface ForwardedConnection {
  readonly clientAddress: string;
  readonly name: string;
  /** What the client spoke. */
  readonly scheme: "http" | "https";
  /** Whether the service is told who asks; what a client claims of it is not passed on in any case. */
  readonly tellsOrigin: boolean;
  /** Where the service is, for the page that says it is not there. */
  readonly where: string;
  /** Connects to the local service; called once at a time. */
  readonly dial: () => Promise<ByteStream>;
  readonly exchange: (exchange: Exchange) => void;
  readonly unreachable: (text: string) => void;
}

/**
 * Forwards HTTP/1.1 requests of decrypted connections to the local service, each with no X-Forwarded headers but true ones.
 * Requests of one connection go one after the other over one connection to the service; an upgrade has one of its own.
 */
export class HttpForwarder {
  readonly #clock: Clock;
  readonly #server: Server;
  readonly #connections = new WeakMap<Duplex, Forwarding>();

  constructor(clock: Clock) {
    this.#clock = clock;
    // Node's own time-outs are those of sockets, which streams of tunnels are not.
    this.#server = createServer({ keepAliveTimeout: 0, requestTimeout: 0 });
    const forward = (req: IncomingMessage, res: ServerResponse): void => this.#forward(req, res);
    this.#server.on("request", forward);
    this.#server.on("checkContinue", forward);
    this.#server.on("upgrade", (req: IncomingMessage, socket: Duplex, head: Buffer) => {
      this.#upgrade(req, socket, head);
    });
    this.#server.on("clientError", (_error: Error, socket: Duplex) => {
      const connection = this.#connections.get(socket);
      // Node says it again for whatever the client sends on.
      if (socket.writableEnded) return;
      // A page now would be taken for the answer of the request before, or for a part of it.
      if (connection === undefined || connection.open.size > 0 || !socket.writable) {
        socket.destroy();
        return;
      }
      refuse(socket, connection, 400);
    });
  }

  /** Serves a stream to its end. Owns it; never rejects. */
  serve(stream: ByteStream, of: ForwardedConnection): Promise<void> {
    const agent = new ServiceAgent(of.dial);
    const watch = new SilenceWatch(this.#clock, firstHeadLimit, () => stream.destroy());
    this.#connections.set(stream, { of, agent, watch, open: new Set() });
    return new Promise((resolve) => {
      stream.once("close", () => {
        watch.stop();
        agent.destroy();
        resolve();
      });
      this.#server.emit("connection", stream);
    });
  }

  #forward(req: IncomingMessage, res: ServerResponse): void {
    const connection = this.#connections.get(req.socket);
    if (connection === undefined) {
      req.socket.destroy();
      return;
    }
    const { of, agent, watch } = connection;
    watch.allow(silenceLimit);
    const exchange = this.#begin(req);
    connection.open.add(res);
    res.once("close", () => {
      connection.open.delete(res);
      if (connection.open.size === 0) watch.allow(idleLimit);
      of.exchange(exchange.done());
    });
    const fault = requestFault(req, of.name);
    if (fault !== undefined) {
      exchange.status = fault;
      res.writeHead(fault, { connection: "close", "content-length": 0 }).end();
      return;
    }
    const headers = forwardedHeaders(req, of);
    const upstream = request({ agent, method: req.method, path: req.url, headers });
    res.once("close", () => {
      if (!res.writableFinished) upstream.destroy();
    });
    upstream.on("error", (error) => {
      if (res.headersSent) {
        res.destroy(error);
        return;
      }
      if (res.destroyed) return;
      of.unreachable(errorText(error));
      exchange.status = 502;
      res.writeHead(502, "Bad Gateway", pageHeaders).end(badGatewayPage(of.name, of.where));
    });
    upstream.on("continue", () => res.writeContinue());
    upstream.on("response", (answer) => {
      try {
        const { statusCode = 0, statusMessage, rawHeaders } = answer;
        res.writeHead(statusCode, statusMessage, passableHeaders(rawHeaders));
      } catch (error) {
        // Node reads more than it writes: statuses below 100, control characters in the phrase behind them.
        upstream.destroy(error instanceof Error ? error : undefined);
        return;
      }
      watch.heard();
      exchange.status = answer.statusCode;
      answer.on("data", (chunk: Buffer) => {
        watch.heard();
        exchange.responseBytes += chunk.length;
      });
      res.on("drain", () => watch.heard());
      answer.on("error", (error) => res.destroy(error));
      answer.pipe(res);
    });
    req.on("data", (chunk: Buffer) => {
      watch.heard();
      exchange.requestBytes += chunk.length;
    });
    req.pipe(upstream);
  }

  /** Becomes a splice only where the service says so: what follows a refused upgrade would be requests that nobody looked at. */
  #upgrade(req: IncomingMessage, socket: Duplex, head: Buffer): void {
    const connection = this.#connections.get(socket);
    socket.on("error", () => undefined);
    if (connection === undefined) {
      socket.destroy();
      return;
    }
    if ([...connection.open].some(isUnderWay)) {
      // Answers have the order of their requests, and Node no longer sees to that here. No client sends this.
      for (const res of connection.open) {
        res.destroy();
        // It hears nothing of its socket any more.
        res.emit("close");
      }
      socket.destroy();
      return;
    }
    const { of, watch } = connection;
    watch.allow(silenceLimit);
    if (/(?:^|,)\s*h2c/i.test(req.headers.upgrade ?? "")) {
      // Its requests would pass unread, with whatever the client claims of its origin.
      refuse(socket, connection, 501);
      return;
    }
    const exchange = this.#begin(req);
    const fault = requestFault(req, of.name);
    if (fault !== undefined) {
      exchange.status = fault;
      of.exchange(exchange.done());
      refuse(socket, connection, fault);
      return;
    }
    const agent = new ServiceAgent(of.dial);
    const headers = [
      ...forwardedHeaders(req, of),
      ...["Connection", "Upgrade", "Upgrade", req.headers.upgrade ?? ""],
    ];
    const upstream: ClientRequest = request({ agent, method: req.method, path: req.url, headers });
    socket.once("close", () => upstream.destroy());
    upstream.on("error", (error) => {
      if (socket.writableEnded || socket.destroyed) return;
      of.unreachable(errorText(error));
      exchange.status = 502;
      of.exchange(exchange.done());
      refuse(socket, connection, 502);
    });
    upstream.on("upgrade", (answer, service, serviceHead) => {
      exchange.status = answer.statusCode;
      of.exchange(exchange.done());
      // What it is now may be silent for as long as it likes.
      watch.stop();
      socket.write(responseHead(answer, answer.rawHeaders));
      if (serviceHead.length > 0) socket.write(serviceHead);
      if (head.length > 0) service.write(head);
      void splice(socket, service).then(() => agent.destroy());
    });
    upstream.on("response", (answer) => {
      exchange.status = answer.statusCode;
      of.exchange(exchange.done());
      socket.write(
        responseHead(answer, [...withoutFraming(answer.rawHeaders), "Connection", "close"]),
      );
      watch.heard();
      answer.on("error", () => socket.destroy());
      answer.on("data", () => watch.heard());
      answer.once("end", () => watch.allow(idleLimit));
      socket.on("drain", () => watch.heard());
      socket.resume();
      answer.pipe(socket);
    });
    upstream.end();
  }

  #begin({ method = "", url: path = "" }: IncomingMessage) {
    const startedAt = this.#clock.now();
    const counts = {
      status: undefined as number | undefined,
      requestBytes: 0,
      responseBytes: 0,
      done: (): Exchange => {
        const { status, requestBytes, responseBytes } = counts;
        const durationMs = millis(this.#clock.now() - startedAt);
        return { method, path, status, requestBytes, responseBytes, durationMs };
      },
    };
    return counts;
  }
}

interface Forwarding {
  readonly of: ForwardedConnection;
  readonly agent: ServiceAgent;
  readonly watch: SilenceWatch;
  /** Answers that have not left yet. */
  readonly open: Set<ServerResponse>;
}

/** Whether some of an answer is still to be written to its connection, or all of it behind another. */
function isUnderWay({ writableEnded, socket }: ServerResponse): boolean {
  return !writableEnded || socket === null;
}

/** Says so where no other answer is under way, and ends the connection. */
function refuse(socket: Duplex, { watch }: Forwarding, status: number): void {
  const line = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}`;
  socket.end(`${line}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
  watch.allow(farewellLimit);
}

function responseHead(answer: IncomingMessage, rawHeaders: readonly string[]): string {
  const { statusCode = 502, statusMessage = "" } = answer;
  let head = `HTTP/1.1 ${statusCode} ${statusMessage}\r\n`;
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    head += `${rawHeaders[at] ?? ""}: ${rawHeaders[at + 1] ?? ""}\r\n`;
  }
  return `${head}\r\n`;
}

/** The end of the connection ends such an answer. */
function withoutFraming(rawHeaders: readonly string[]): string[] {
  const passable = passableHeaders(rawHeaders);
  return passable.filter((_, at) => {
    const name = passable[at - (at % 2)]?.toLowerCase();
    return name !== "transfer-encoding" && name !== "content-length";
  });
}

const pageHeaders = { "content-type": "text/html; charset=utf-8", "cache-control": "no-store" };
/** How long a client may take for the head of its first request. */
const firstHeadLimit = millis(30_000);
/** How long a connection may rest after an answer, until the head of the next request is whole. */
const idleLimit = millis(75_000);
/** How long a request and its answer together may be silent. */
const silenceLimit = millis(300_000);
/** How long a client may take to end its side behind a last answer. */
const farewellLimit = millis(5_000);
