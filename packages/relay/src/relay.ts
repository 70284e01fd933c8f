import {
  formatCloseReason,
  Scope,
  systemRandom,
  withDeadline,
  type Clock,
  type Random,
  type SpliceResult,
} from "@culvert/runtime";
import type { Log } from "@culvert/telemetry";
import {
  shutdownReason,
  type CommandLinks,
  type Session,
  type SessionListener,
} from "@culvert/transport";
import { ConnectionBroker } from "./connection-broker.ts";
import { ConnectionTable } from "./connection-table.ts";
import { Directory } from "./directory.ts";
import { Grants } from "./grants.ts";
import { sumListenerStats } from "./listener-stats.ts";
import type { RelayMetrics } from "./metrics.ts";
import type { PeerRole, RelayOptions } from "./options.ts";
import { PeerLogs } from "./peer-logs.ts";
import { PublicGrants } from "./public-offers/public-grants.ts";
import { PublicOffers } from "./public-offers/public-offers.ts";
import { SessionDesk } from "./session-desk.ts";
import { relayStatus, type RelayStatus } from "./status.ts";
import { TunnelDrops } from "./tunnel-drops.ts";
import type { RelayWeb } from "./web/relay-web.ts";

/** What a relay needs from outside. */
export interface RelayDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: RelayMetrics;
  /** Names public connections; default: the system's. */
  readonly random?: Random;
  /** Binds every configured address; called once, by {@link Relay.start}. */
  readonly listen: () => Promise<readonly SessionListener[]>;
  /** Peers that it goes to itself; started by {@link Relay.start}, and the relay's from then on. Undefined = none. */
  readonly links?: CommandLinks | undefined;
  /** Starts the web side; called once, by {@link Relay.start}, which owns what it gives. Undefined = none. */
  readonly web?: (() => Promise<RelayWeb>) | undefined;
}

/**
 * P3: knows peers and grants, receives their sessions, and joins a client's stream to a server's. Holds no bytes beyond the
 * flow-control windows.
 */
export class Relay {
  readonly #deps: RelayDeps;
  readonly #options: RelayOptions;
  readonly #directory: Directory;
  readonly #connections = new ConnectionTable();
  readonly #tunnelDrops = new TunnelDrops();
  readonly #broker: ConnectionBroker;
  readonly #desk: SessionDesk;
  /** What attached servers have of a public entrance; whoever has one starts it. */
  readonly publicOffers: PublicOffers;
  readonly #scope = new Scope();
  readonly #ended = { clientToServer: 0, serverToClient: 0 };
  #listeners: readonly SessionListener[] = [];
  #web: RelayWeb | undefined;
  #draining = false;

  constructor(deps: RelayDeps, options: RelayOptions) {
    this.#deps = deps;
    this.#options = options;
    const { clock, log, metrics } = deps;
    const logs = new PeerLogs(log, clock);
    const { limits, software } = options;
    const draining = (): boolean => this.#draining;
    this.#directory = new Directory(options.peers, limits.transientSessionsPerPeer);
    this.#broker = new ConnectionBroker({
      clock,
      log,
      logs,
      metrics,
      limits,
      draining,
      directory: this.#directory,
      grants: new Grants(options.grants),
      connections: this.#connections,
      ended: (result) => this.#onEnded(result),
    });
    this.publicOffers = new PublicOffers({
      clock,
      log,
      limits,
      draining,
      random: deps.random ?? systemRandom,
      connections: this.#connections,
      grants: new PublicGrants(options.public ?? { names: [], ports: [] }),
    });
    this.#desk = new SessionDesk({
      clock,
      log,
      logs,
      metrics,
      limits,
      software,
      draining,
      broker: this.#broker,
      publicOffers: this.publicOffers,
      directory: this.#directory,
    });
  }

  /** What it listens on: `udp 127.0.0.1:30380`, `https 0.0.0.0:443`. */
  get addresses(): readonly string[] {
    const web = this.#web;
    const sessions = this.#listeners.filter((listener) => listener !== web?.sessions);
    return [...sessions.map(({ description }) => description), ...(web?.entrance.addresses ?? [])];
  }

  /**
   * Binds the addresses and begins to serve.
   * @throws TransportError `address_in_use` and its kin; nothing stays bound then.
   */
  async start(): Promise<void> {
    this.#listeners = await this.#bind();
    for (const listener of this.#listeners) {
      this.#scope.add(() => listener.close());
      this.#deps.log.info("relay.listening", {
        address: listener.description,
        transport: listener.transport,
      });
      void this.#accept(listener.sessions);
    }
    this.#startLinks();
    this.#deps.metrics.attach({
      sessions: (role) => this.#countSessions(role),
      transports: () => this.#countTransports(),
      connections: () => this.#connections.size,
      bytes: () => this.#bytes(),
      listeners: () => sumListenerStats(this.#listeners.map((listener) => listener.stats())),
      tunnelDrops: () => this.#tunnelDrops.total(),
    });
  }

  #startLinks(): void {
    const { links } = this.#deps;
    if (links === undefined) return;
    this.#scope.add(() => links.close());
    links.start();
    void this.#accept(links.sessions);
  }

  /** Binds all, or nothing. */
  async #bind(): Promise<readonly SessionListener[]> {
    const web = await this.#deps.web?.();
    if (web === undefined) return this.#deps.listen();
    this.#web = web;
    const { entrance, sessions, telebit } = web;
    this.#scope.add(() => entrance.close());
    this.#scope.add(() => telebit?.close(shutdownReason));
    try {
      const { names, ports } = entrance;
      const httpsPort = entrance.address("https")?.port ?? 0;
      const httpPort = entrance.address("http")?.port ?? 0;
      await this.publicOffers.start({ names, ports, httpsPort, httpPort }, this.#scope);
      return [...(await this.#deps.listen()), sessions];
    } catch (error) {
      await this.#scope.close();
      throw error;
    }
  }

  /** A picture of the relay for `culvert status`. */
  status(): RelayStatus {
    return relayStatus({
      now: this.#deps.clock.now(),
      listeners: this.#listeners,
      directory: this.#directory,
      connections: this.#connections,
      draining: this.#draining,
      bytes: this.#bytes(),
      devices: this.#web?.telebit?.status(),
      entrance: this.#web?.entrance.status(),
      links: this.#deps.links?.status(),
    });
  }

  /** Takes no new sessions or connections, and resolves when the open ones have ended or the drain time-out has passed. */
  async drain(): Promise<void> {
    this.#draining = true;
    const { clock } = this.#deps;
    this.#web?.telebit?.drain();
    this.#deps.links?.drain();
    await withDeadline({ clock, limit: this.#options.drainTimeout, what: "draining" }, () =>
      Promise.all([this.#broker.idle(), this.#web?.entrance.drain()]),
    ).catch(() => undefined);
  }

  /** Closes all sessions and listeners. */
  async close(): Promise<void> {
    this.#draining = true;
    this.#deps.links?.drain();
    await this.#desk.closeAll(shutdownReason);
    await this.#scope.close();
    this.#deps.log.info("relay.stopped", { reason: formatCloseReason(shutdownReason) });
  }

  async #accept(sessions: AsyncIterable<Session>): Promise<void> {
    for await (const session of sessions) {
      this.#tunnelDrops.watch(session);
      void this.#desk.serve(session);
    }
  }

  #onEnded(result: SpliceResult): void {
    this.#ended.clientToServer += result.leftToRightBytes;
    this.#ended.serverToClient += result.rightToLeftBytes;
  }

  #bytes(): { clientToServer: number; serverToClient: number } {
    let { clientToServer, serverToClient } = this.#ended;
    for (const { progress } of this.#connections.list()) {
      clientToServer += progress.leftToRightBytes;
      serverToClient += progress.rightToLeftBytes;
    }
    return { clientToServer, serverToClient };
  }

  #countTransports(): ReadonlyMap<string, number> {
    const counts = new Map<string, number>(
      this.#listeners.map(({ transport }) => [transport, 0] as const),
    );
    for (const { sessions } of this.#directory.list()) {
      for (const { session } of sessions) {
        counts.set(session.transport, (counts.get(session.transport) ?? 0) + 1);
      }
    }
    return counts;
  }

  #countSessions(role: PeerRole): number {
    let sessions = 0;
    for (const entry of this.#directory.list()) {
      if (entry.peer.role === role) sessions += entry.sessions.length;
    }
    return sessions;
  }
}
