import { createServer, isIPv6, type AddressInfo, type Server, type Socket } from "node:net";
import {
  errorText,
  InternalError,
  systemCode,
  tcpByteStream,
  TransportError,
} from "@culvert/runtime";
import type { Log } from "@culvert/telemetry";
import type { EntranceStatus } from "./entrance.ts";

/** What a {@link TcpListener} needs. */
export interface TcpListenerDeps {
  readonly log: Log;
  /**
   * Takes an accepted connection, with half-close, without delay, and keeping the contract of ByteStream. It is read ahead into its
   * buffer (at most 80 KiB) and no further until somebody consumes it; that is how a reset by P1 is noticed while it waits.
   */
  readonly onConnection: (socket: Socket) => void;
  /** Told of each connection that is turned away because too many are open. */
  readonly onLimit: (text: string) => void;
}

/** Where and how much a {@link TcpListener} accepts. */
export interface TcpListenerOptions {
  /** Whose listener it is, for errors and logs. */
  readonly name: string;
  /** An address, a name, or `localhost` for both loopback addresses. */
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  /** Connections open at once; further ones are reset. */
  readonly maxConnections: number;
}

/** A listening TCP socket, or two for `localhost`, that knows its open connections. Owns them until they close. */
export class TcpListener {
  readonly #deps: TcpListenerDeps;
  readonly #options: TcpListenerOptions;
  readonly #open = new Set<Socket>();
  #servers: Server[] = [];
  #starting = false;
  #accepted = 0;
  #drainWaiters: (() => void)[] = [];

  constructor(deps: TcpListenerDeps, options: TcpListenerOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /**
   * Binds. After a failure nothing is bound, and it may be called again.
   * @throws TransportError `address_in_use`, `address_unavailable` or `name_not_found`.
   */
  async start(): Promise<void> {
    const { name, host, port } = this.#options;
    if (this.#starting || this.#servers.length > 0) {
      throw new InternalError("invariant", `${name} listens already`);
    }
    this.#starting = true;
    const bound: Server[] = [];
    try {
      const hosts = host === "localhost" ? ["127.0.0.1", "::1"] : [host];
      let missing: unknown;
      for (const each of hosts) {
        try {
          bound.push(await this.#bind(each, boundPort(bound[0]) ?? port));
        } catch (error) {
          if (hosts.length === 1 || !isFamilyMissing(error)) throw error;
          missing = error;
        }
      }
      if (bound.length === 0) throw missing;
      this.#servers = bound;
    } catch (error) {
      for (const server of bound) server.close();
      throw error;
    } finally {
      this.#starting = false;
    }
  }

  /** The bound addresses; empty while not accepting. */
  get addresses(): readonly string[] {
    return this.#servers.flatMap((server) => {
      const address = server.address() as AddressInfo | null;
      return address === null ? [] : [formatAddress(address.address, address.port)];
    });
  }

  /** Its share of an entrance's counters. */
  get counts(): Pick<EntranceStatus, "addresses" | "open" | "accepted"> {
    return { addresses: this.addresses, open: this.#open.size, accepted: this.#accepted };
  }

  /** Closes the listening sockets; open connections go on. */
  stopAccepting(): void {
    for (const server of this.#servers.splice(0)) server.close();
  }

  /** Resolves when no connection is open. */
  drained(): Promise<void> {
    if (this.#open.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#drainWaiters.push(resolve));
  }

  /** Stops accepting and resets every open connection; resolves when they are closed. */
  close(): Promise<void> {
    this.stopAccepting();
    const reason = new TransportError("connection_closed", `${this.#options.name} closed`);
    for (const socket of this.#open) socket.destroy(reason);
    return this.drained();
  }

  #bind(host: string, port: number): Promise<Server> {
    return new Promise((resolve, reject) => {
      const server = createServer(
        {
          allowHalfOpen: true,
          noDelay: true,
          keepAlive: true,
          keepAliveInitialDelay: keepAliveMs,
        },
        (socket) => this.#accept(socket),
      );
      const onError = (error: Error): void => reject(this.#listenError(error, host, port));
      server.once("error", onError);
      server.listen({ host, port, backlog }, () => {
        server.off("error", onError);
        // Accepting may fail at any time, for want of descriptors; the listener stays open.
        server.on("error", (error) =>
          this.#deps.log.warn("entrance.fault", { entrance: this.#options.name, error }),
        );
        resolve(server);
      });
    });
  }

  #accept(socket: Socket): void {
    socket.on("error", () => undefined);
    this.#accepted += 1;
    const { name, maxConnections } = this.#options;
    if (this.#open.size >= maxConnections) {
      socket.resetAndDestroy();
      this.#deps.log.warn("limit.reached", {
        limit: "maxConnections",
        max: maxConnections,
        entrance: name,
      });
      this.#deps.onLimit(`${maxConnections} connections are open (maxConnections)`);
      return;
    }
    this.#open.add(socket);
    socket.once("close", () => {
      this.#open.delete(socket);
      if (this.#open.size > 0) return;
      for (const resolve of this.#drainWaiters.splice(0)) resolve();
    });
    this.#deps.onConnection(tcpByteStream(socket));
  }

  #listenError(error: Error, host: string, port: number): TransportError {
    const where = `${formatAddress(host, port)} (${this.#options.name})`;
    const details = { data: { host, port, entrance: this.#options.name }, cause: error };
    switch (systemCode(error)) {
      case "EADDRINUSE":
        return new TransportError("address_in_use", `${where} is in use`, details);
      case "ENOTFOUND":
      case "EAI_AGAIN":
        return new TransportError(
          "name_not_found",
          `${where}: the name has no address here`,
          details,
        );
      case "EACCES":
        return new TransportError(
          "address_unavailable",
          `${where}: the system does not let us listen there`,
          details,
        );
      default:
        return new TransportError("address_unavailable", `${where}: ${errorText(error)}`, details);
    }
  }
}

function boundPort(server: Server | undefined): number | undefined {
  return (server?.address() as AddressInfo | null | undefined)?.port;
}

function isFamilyMissing(error: unknown): boolean {
  const code = systemCode(error instanceof Error ? error.cause : undefined);
  return code === "EADDRNOTAVAIL" || code === "EAFNOSUPPORT";
}

function formatAddress(host: string, port: number): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
}

/** After this much silence the system asks whether P1 still lives, so that a vanished P1 cannot hold a connection for ever. */
const keepAliveMs = 60_000;
/**
 * Connections the system may hold until we accept them; it takes less where its own limit is lower. Beyond that many at once, a
 * connecting P1 waits a second for its next try.
 */
const backlog = 4096;
