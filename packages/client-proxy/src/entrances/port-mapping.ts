import type { Clock } from "@culvert/runtime";
import { rateLimited, type Log } from "@culvert/telemetry";
import { entranceDefaults } from "./entrance-defaults.ts";
import type { Connector, Entrance, EntranceStatus } from "./entrance.ts";
import { Forwarder } from "./forwarder.ts";
import { TcpListener } from "./tcp-listener.ts";

/** What a {@link PortMapping} needs. */
export interface PortMappingDeps {
  readonly connector: Connector;
  readonly log: Log;
  readonly clock: Clock;
}

/** One mapping `listen -> server:target`. */
export interface PortMappingOptions {
  /** An address, a name, or `localhost` for both loopback addresses. */
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  readonly server: string;
  /** A service name, a port, or `host:port`. */
  readonly target: string;
  /** Default: `entranceDefaults.maxConnections`. */
  readonly maxConnections?: number | undefined;
}

/**
 * A TCP port whose every connection goes to one target. It listens whatever becomes of the session with the relay. A connection
 * that is refused or fails is reset at once: after a FIN, P1 would take the failure for an empty answer.
 */
export class PortMapping implements Entrance {
  readonly #options: PortMappingOptions;
  readonly #forwarder: Forwarder;
  readonly #listener: TcpListener;

  constructor(deps: PortMappingDeps, options: PortMappingOptions) {
    this.#options = options;
    const { host, port, server, target } = options;
    const entrance = `tcp ${host}:${port}`;
    this.#forwarder = new Forwarder(deps, { entrance });
    this.#listener = new TcpListener(
      {
        log: rateLimited(deps.log, deps.clock, entranceDefaults.warningRate),
        onConnection: (socket) => {
          void this.#forwarder.forward(socket, options, {
            refused: (refused) => refused.resetAndDestroy(),
          });
        },
        onLimit: (text) => this.#forwarder.countRefusal(text),
      },
      {
        name: `mapping to ${server}:${target}`,
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
      kind: "port",
      destination: `${this.#options.server}:${this.#options.target}`,
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
}
