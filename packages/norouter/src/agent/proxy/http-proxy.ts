import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { errorText, splice, type ByteStream, type Clock } from "@culvert/runtime";
import { rateLimited, type Log } from "@culvert/telemetry";
import { agentDefaults } from "../agent-defaults.ts";
import { answerAndClose } from "./answer-and-close.ts";
import { closeSignal } from "./close-signal.ts";
import { forwardRequest } from "./forward-request.ts";
import { forwardUpgrade } from "./forward-upgrade.ts";
import { HeadDeadline, idleMs } from "./head-deadline.ts";
import type { ProxyNetwork } from "./proxy-network.ts";
import { readAbsoluteForm, readAuthorityForm, type ProxyTarget } from "./proxy-target.ts";

/** What an {@link HttpProxy} needs. */
export interface HttpProxyDeps {
  readonly network: ProxyNetwork;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * An HTTP proxy for requests in absolute form and for CONNECT. Each request has a connection of its own. The texts of its answers are
 * NoRouter's, since people search for them.
 */
export class HttpProxy {
  readonly #network: ProxyNetwork;
  readonly #clock: Clock;
  readonly #log: Log;
  /** Parses; it never listens, but is given connections. */
  readonly #http: Server;
  /** A server that does not listen watches no deadlines for heads itself. */
  readonly #heads = new WeakMap<Duplex, HeadDeadline>();

  constructor({ network, clock, log }: HttpProxyDeps) {
    this.#network = network;
    this.#clock = clock;
    this.#log = rateLimited(log, clock, agentDefaults.warningRate);
    this.#http = createServer({ keepAliveTimeout: idleMs, requestTimeout: 0 });
    this.#http.timeout = silenceMs;
    const forward = (req: IncomingMessage, res: ServerResponse): void =>
      this.#during(this.#forward(req, res), req.socket);
    this.#http.on("request", forward).on("checkContinue", forward);
    this.#http.on("connect", (req: IncomingMessage, client: Duplex, head: Buffer) => {
      this.#during(this.#connect(req, awake(client), head), client);
    });
    this.#http.on("upgrade", (req: IncomingMessage, client: Duplex, head: Buffer) => {
      this.#during(this.#upgrade(req, awake(client), head), client);
    });
    this.#http.on("clientError", (_error: Error, client: Duplex) => {
      if (client.writable) answerAndClose(client, answers.badRequest, this.#clock);
      else client.destroy();
    });
  }

  /** Serves an accepted connection to its end. Owns it. */
  serve(socket: Socket): void {
    this.#heads.set(socket, new HeadDeadline(this.#clock, socket));
    this.#http.emit("connection", socket);
  }

  /** Whatever a request brings about ends its own connection and nothing else. */
  #during(work: Promise<void>, client: Duplex): void {
    work.catch((error: unknown) => {
      this.#log.warn("entrance.fault", { entrance: "http", reason: errorText(error) });
      client.destroy();
    });
  }

  async #forward(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const head = this.#heads.get(req.socket);
    head?.arrived();
    res.once("close", () => head?.answered());
    const target = readAbsoluteForm(req.url ?? "");
    if (target === undefined) {
      plainAnswer(res, 500, answers.notProxied);
      return;
    }
    const { signal } = closeSignal(res);
    let isMesh = false;
    await forwardRequest(req, res, {
      clock: this.#clock,
      target,
      dial: async () => {
        isMesh = await this.#network.isInteresting(target.host, signal);
        return await this.#dial(isMesh, target, signal);
      },
      onError: (error, status) => {
        if (signal.aborted) return;
        this.#refused(target, error);
        const isHidden = isMesh && status === 500;
        plainAnswer(res, status, isHidden ? answers.seeLog : `${errorText(error)}\n`);
      },
    });
  }

  async #connect(req: IncomingMessage, client: Duplex, head: Buffer): Promise<void> {
    this.#heads.get(client)?.arrived();
    const target = readAuthorityForm(req.url ?? "");
    if (target === undefined) {
      answerAndClose(client, answers.badRequest, this.#clock);
      return;
    }
    if (head.length > 0) client.unshift(head);
    const reached = await this.#reach(client, target);
    if (reached === undefined) return;
    const { isMesh, dialled } = reached;
    if (dialled === undefined) {
      const answer = isMesh ? answers.meshFailure : answers.systemFailure;
      answerAndClose(client, answer, this.#clock);
      return;
    }
    client.write(isMesh ? answers.meshConnected : answers.systemConnected);
    await this.#join(client, dialled, target);
  }

  async #upgrade(req: IncomingMessage, client: Duplex, head: Buffer): Promise<void> {
    this.#heads.get(client)?.arrived();
    const target = readAbsoluteForm(req.url ?? "");
    if (target === undefined) {
      answerAndClose(client, rawAnswer(answers.notProxied), this.#clock);
      return;
    }
    if (hasBody(req)) {
      // Node takes the body for what follows the upgrade.
      answerAndClose(client, answers.notImplemented, this.#clock);
      return;
    }
    if (head.length > 0) client.unshift(head);
    const reached = await this.#reach(client, target);
    if (reached === undefined) return;
    const { isMesh, dialled } = reached;
    if (dialled === undefined) {
      const text = isMesh ? answers.seeLog : `cannot reach ${target.hostHeader}\n`;
      answerAndClose(client, rawAnswer(text), this.#clock);
      return;
    }
    forwardUpgrade(req, client, {
      target,
      dialled,
      onError: (error) => {
        this.#refused(target, error);
        answerAndClose(client, rawAnswer(answers.seeLog), this.#clock);
      },
      onUpgraded: (left, right) => void this.#join(left, right, target),
    });
  }

  async #dial(isMesh: boolean, target: ProxyTarget, signal: AbortSignal): Promise<ByteStream> {
    signal.throwIfAborted();
    const { dialMesh, dialSystem } = this.#network;
    return await (isMesh ? dialMesh : dialSystem)(target.host, target.port, signal);
  }

  /** Looks a target up and connects, as long as the client is there; without a connection, and logged, where that fails. */
  async #reach(client: Duplex, target: ProxyTarget): Promise<Reached | undefined> {
    const { signal, release } = closeSignal(client);
    let isMesh = false;
    try {
      isMesh = await this.#network.isInteresting(target.host, signal);
      return { isMesh, dialled: await this.#dial(isMesh, target, signal) };
    } catch (error) {
      if (signal.aborted) return undefined;
      this.#refused(target, error);
      return { isMesh, dialled: undefined };
    } finally {
      release();
    }
  }

  async #join(client: Duplex, dialled: ByteStream, { host, port }: ProxyTarget): Promise<void> {
    const fields = { listener: "http", target: `${host}:${port}` };
    this.#log.debug("norouter.agent.connection.opened", fields);
    await splice(client, dialled);
    this.#log.debug("norouter.agent.connection.closed", fields);
  }

  #refused({ host, port }: ProxyTarget, error: unknown): void {
    this.#log.warn("norouter.agent.connection.refused", {
      listener: "http",
      target: `${host}:${port}`,
      reason: errorText(error),
    });
  }
}

interface Reached {
  /** Whether by the virtual network. */
  readonly isMesh: boolean;
  readonly dialled: ByteStream | undefined;
}

/** What it is now may be silent for as long as it likes; and nobody else hears its errors. */
function awake(client: Duplex): Duplex {
  client.on("error", () => undefined);
  if (client instanceof Socket) client.setTimeout(0);
  return client;
}

function plainAnswer(res: ServerResponse, status: number, text: string): void {
  if (res.headersSent || res.destroyed) {
    res.destroy();
    return;
  }
  res.writeHead(status, { "content-type": "text/plain; charset=utf-8", connection: "close" });
  res.end(text);
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
}

function rawAnswer(text: string): string {
  return [
    "HTTP/1.1 500 Internal Server Error",
    "Content-Type: text/plain; charset=utf-8",
    `Content-Length: ${Buffer.byteLength(text)}`,
    "Connection: close",
    "",
    text,
  ].join("\r\n");
}

const answers = {
  meshConnected: "HTTP/1.1 200 Connection established\r\n\r\n",
  systemConnected: "HTTP/1.0 200 Connection established\r\n\r\n",
  meshFailure: "HTTP/1.1 500 Cannot reach destination\r\n\r\n",
  systemFailure: "HTTP/1.1 502 Bad Gateway\r\n\r\n",
  badRequest: "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
  notImplemented: "HTTP/1.1 501 Not Implemented\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
  seeLog: "See NoRouter agent log\n",
  notProxied: "This is a proxy server. Does not respond to non-proxy requests.\n",
} as const;
/** How long a request and its answer together may be silent, milliseconds. */
const silenceMs = 300_000;
