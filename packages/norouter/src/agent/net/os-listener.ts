import { createServer, isIPv6, type AddressInfo, type Server, type Socket } from "node:net";
import { errorText, systemCode, tcpByteStream, TransportError } from "@culvert/runtime";
import type { Log } from "@culvert/telemetry";
import { agentDefaults } from "../agent-defaults.ts";
import type { ListenAddress } from "./listen-address.ts";

/** Where an {@link OsListener} listens and what it does with what it accepts. */
export interface OsListenerOptions extends ListenAddress {
  /** For what, in logs and errors: `forward`, `http`. */
  readonly name: string;
  readonly maxConnections?: number | undefined;
  readonly log: Log;
  /** Takes an accepted connection that keeps the contract of ByteStream and whose errors are heard. */
  readonly onConnection: (socket: Socket) => void;
}

/** A listening TCP socket of the system. Owns the connections it accepted until they close. */
export class OsListener {
  readonly #options: OsListenerOptions;
  readonly #server: Server;
  readonly #open = new Set<Socket>();

  private constructor(options: OsListenerOptions) {
    this.#options = options;
    this.#server = createServer(
      { allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: keepAliveMs },
      (socket) => this.#accept(socket),
    );
  }

  /**
   * Binds.
   * @throws TransportError `address_in_use` or `address_unavailable`.
   */
  static async open(options: OsListenerOptions): Promise<OsListener> {
    const listener = new OsListener(options);
    await listener.#bind();
    options.log.debug("norouter.agent.listening", {
      listener: options.name,
      address: listener.address,
    });
    return listener;
  }

  /** The bound address, `127.0.42.101:8080`. */
  get address(): string {
    const { address, port } = this.#server.address() as AddressInfo;
    return formatAddress(address, port);
  }

  /** Stops listening and resets every connection; resolves when all are closed. */
  close(): Promise<void> {
    const reason = new TransportError("connection_closed", `${this.#options.name} closed`);
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      for (const socket of this.#open) socket.destroy(reason);
    });
  }

  #bind(): Promise<void> {
    const { host, port, name, log } = this.#options;
    return new Promise((resolve, reject) => {
      const onError = (error: Error): void => {
        const inUse = systemCode(error) === "EADDRINUSE";
        reject(
          new TransportError(
            inUse ? "address_in_use" : "address_unavailable",
            `failed to listen on ${formatAddress(host ?? "", port)} (${name}): ${errorText(error)}`,
            { data: { host, port, name }, cause: error },
          ),
        );
      };
      this.#server.once("error", onError);
      this.#server.listen({ ...(host === undefined ? {} : { host }), port, backlog }, () => {
        this.#server.off("error", onError);
        // Accepting may fail at any time, for want of descriptors; the listener stays open.
        this.#server.on("error", (error) => log.warn("entrance.fault", { entrance: name, error }));
        resolve();
      });
    });
  }

  #accept(socket: Socket): void {
    socket.on("error", () => undefined);
    const { name, log, maxConnections = agentDefaults.maxConnections } = this.#options;
    if (this.#open.size >= maxConnections) {
      socket.resetAndDestroy();
      log.warn("limit.reached", { limit: "maxConnections", max: maxConnections, entrance: name });
      return;
    }
    this.#open.add(socket);
    socket.once("close", () => this.#open.delete(socket));
    this.#options.onConnection(tcpByteStream(socket));
  }
}

function formatAddress(host: string, port: number): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
}

/** After this much silence the system asks whether the other end still lives. */
const keepAliveMs = 60_000;
/** Connections the system may hold until they are accepted. */
const backlog = 1_024;
