import { chmodSync, existsSync, lstatSync, unlinkSync } from "node:fs";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { connect } from "node:net";
import { dirname } from "node:path";
import { ConfigError, errorText, systemCode, TransportError } from "@culvert/runtime";
import { createBoundedServer } from "./http-bounds.ts";
import type { Log } from "./log.ts";
import { statusAddress } from "./status-socket.ts";

/** What a {@link StatusServer} needs. */
export interface StatusServerDeps {
  readonly log: Log;
  /** Tells what the daemon is doing now, as a value that JSON can carry and without secrets. */
  readonly status: () => unknown;
}

/**
 * Answers `culvert status` on a Unix domain socket that only its owner may open (mode 0600), or on a named pipe on Windows.
 * HTTP: `GET /status` gives JSON. Owned by who made it; {@link close} ends its connections and removes the socket.
 */
export class StatusServer {
  readonly #deps: StatusServerDeps;
  readonly #path: string;
  readonly #server: Server;

  constructor(deps: StatusServerDeps, path: string) {
    this.#deps = deps;
    this.#path = path;
    this.#server = createBoundedServer((request, response) => this.#answer(request, response));
  }

  /**
   * Starts listening. A socket that a dead process left behind is replaced.
   * @throws TransportError `address_in_use` where a daemon with this configuration runs; `address_unavailable` where the path
   * cannot be used; ConfigError `bad_config` where it is too long or is no socket.
   */
  async listen(): Promise<void> {
    const address = statusAddress(this.#path);
    try {
      await this.#listenOnce(address);
    } catch (error) {
      if (systemCode(error) !== "EADDRINUSE") throw unavailable(this.#path, error);
      await removeStale(this.#path, address);
      try {
        await this.#listenOnce(address);
      } catch (again) {
        throw systemCode(again) === "EADDRINUSE"
          ? inUse(this.#path)
          : unavailable(this.#path, again);
      }
    }
    this.#server.on("error", (error) => this.#deps.log.warn("admin.fault", { error }));
  }

  /** Stops listening, ends every connection and removes the socket. Never rejects. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  #listenOnce(address: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      // The socket file appears inside this call, so the mask guards it from its first moment.
      const mask = process.umask(0o177);
      try {
        this.#server.listen({ path: address }, () => {
          this.#server.removeListener("error", reject);
          resolve();
        });
      } finally {
        process.umask(mask);
      }
      if (process.platform !== "win32" && this.#server.listening) chmodSync(address, 0o600);
    });
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    if (request.method !== "GET") {
      response.writeHead(405, { allow: "GET" }).end();
      return;
    }
    if (request.url !== "/status") {
      response.writeHead(404).end();
      return;
    }
    try {
      const text = JSON.stringify(this.#deps.status());
      response.writeHead(200, { "content-type": "application/json" }).end(text);
    } catch (error) {
      this.#deps.log.warn("admin.fault", { error });
      response.writeHead(500).end();
    }
  }
}

async function removeStale(path: string, address: string): Promise<void> {
  if (process.platform === "win32" || (await answers(address))) throw inUse(path);
  if (!lstatSync(address).isSocket()) {
    throw new ConfigError(
      "bad_config",
      `control.socket: ${path} exists and is no socket; set another path or move that file away`,
      { data: { path } },
    );
  }
  unlinkSync(address);
}

function answers(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path: address });
    const settle = (alive: boolean): void => {
      socket.destroy();
      resolve(alive);
    };
    socket.once("connect", () => settle(true));
    // A full backlog (EAGAIN) belongs to a live but busy process; a refusal to nobody, and then the file may go.
    socket.once("error", (error) => settle(!deadCodes.has(systemCode(error) ?? "")));
  });
}

const deadCodes = new Set(["ECONNREFUSED", "ENOENT", "ENOTSOCK"]);

function inUse(path: string): TransportError {
  return new TransportError(
    "address_in_use",
    `a daemon with this configuration already runs: ${path} (control.socket) answers; end it first, or set another socket`,
    { data: { path, key: "control.socket" } },
  );
}

function unavailable(path: string, error: unknown): TransportError {
  // The system says EACCES of a socket in a folder that is not there.
  const folder = dirname(path);
  const reason = existsSync(folder) ? errorText(error) : `the folder ${folder} does not exist`;
  return new TransportError(
    "address_unavailable",
    `cannot listen on ${path} (control.socket): ${reason}`,
    { data: { path, key: "control.socket" }, cause: error },
  );
}
