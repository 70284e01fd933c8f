import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { errorText, systemCode, TransportError } from "@culvert/runtime";
import type { Registry } from "prom-client";
import { createBoundedServer } from "./http-bounds.ts";
import type { Log } from "./log.ts";

/** What an {@link AdminServer} needs. */
export interface AdminServerDeps {
  readonly log: Log;
  readonly registry: Registry;
  /** Why the daemon cannot serve now; nothing where it can. */
  readonly notReady: () => readonly string[];
}

/** Where an {@link AdminServer} listens. */
export interface AdminServerOptions {
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
}

/**
 * The HTTP server for operators: `/metrics` (Prometheus text), `/healthz` (200 while the process lives) and `/readyz` (200, or 503
 * with one reason a line). Reads only; bounds every caller. Owned by who made it; {@link close} ends its connections.
 */
export class AdminServer {
  readonly #deps: AdminServerDeps;
  readonly #options: AdminServerOptions;
  readonly #server: Server;

  constructor(deps: AdminServerDeps, options: AdminServerOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#server = createBoundedServer((request, response) => void this.#answer(request, response));
  }

  /**
   * Starts listening; resolves with the bound address.
   * @throws TransportError `address_in_use` or `address_unavailable`, naming the address and the configuration key.
   */
  listen(): Promise<{ readonly host: string; readonly port: number }> {
    const { host, port } = this.#options;
    return new Promise((resolve, reject) => {
      this.#server.once("error", (error) => reject(listenError(error, host, port)));
      this.#server.listen({ host, port }, () => {
        this.#server.removeAllListeners("error");
        this.#server.on("error", (error) => this.#deps.log.warn("admin.fault", { error }));
        const bound = this.#server.address() as AddressInfo;
        resolve({ host: bound.address, port: bound.port });
      });
    });
  }

  /** Stops listening and ends every connection. Never rejects. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.setHeader("allow", "GET, HEAD");
      send(response, 405, "only GET and HEAD are answered\n");
      return;
    }
    switch (pathOf(request)) {
      case "/metrics":
        await this.#metrics(response);
        return;
      case "/healthz":
        send(response, 200, "alive\n");
        return;
      case "/readyz": {
        const reasons = this.#deps.notReady();
        if (reasons.length === 0) send(response, 200, "ready\n");
        else send(response, 503, reasons.map((reason) => `${reason}\n`).join(""));
        return;
      }
      default:
        send(response, 404, "there is /metrics, /healthz and /readyz\n");
    }
  }

  async #metrics(response: ServerResponse): Promise<void> {
    try {
      const text = await this.#deps.registry.metrics();
      send(response, 200, text, this.#deps.registry.contentType);
    } catch (error) {
      this.#deps.log.warn("admin.fault", { error });
      send(response, 500, "the metrics could not be collected\n");
    }
  }
}

function pathOf(request: IncomingMessage): string {
  return (request.url ?? "").split("?", 1)[0] ?? "";
}

function send(
  response: ServerResponse,
  status: number,
  text: string,
  contentType = "text/plain; charset=utf-8",
): void {
  response.writeHead(status, {
    "content-type": contentType,
    "content-length": Buffer.byteLength(text),
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
  });
  response.end(text);
}

function listenError(error: unknown, host: string, port: number): TransportError {
  const address = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  const details = { data: { address, key: "admin.listen" }, cause: error };
  if (systemCode(error) === "EADDRINUSE") {
    return new TransportError(
      "address_in_use",
      `${address} (admin.listen) is in use by another program; choose another address or end that program`,
      details,
    );
  }
  return new TransportError(
    "address_unavailable",
    `cannot listen on ${address} (admin.listen): ${errorText(error)}`,
    details,
  );
}
