import {
  millis,
  Scope,
  withDeadline,
  type Clock,
  type Millis,
  type Random,
} from "@culvert/runtime";
import { rateLimited, type Log } from "@culvert/telemetry";
import { shutdownReason, type RelayLink, type Session } from "@culvert/transport";
import type { Connector, Entrance } from "./entrances/entrance.ts";
import type { ClientMetrics } from "./metrics.ts";
import { SessionConnector } from "./session-connector.ts";
import { clientStatus, type ClientStatus } from "./status.ts";

/** What a client proxy needs from outside. */
export interface ClientProxyDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: ClientMetrics;
  /** The link to the relay, not started yet; owned by the proxy from here on. */
  readonly link: RelayLink;
  /** Makes the entrances that the configuration asks for. */
  readonly entrances: (connector: Connector) => readonly Entrance[];
}

/** How a client proxy waits. */
export interface ClientProxyOptions {
  /** Longest wait for the answer to a connect. */
  readonly answerTimeout: Millis;
  /** How long connections may go on after a drain has begun. */
  readonly drainTimeout: Millis;
}

/**
 * P2: local entrances whose connections become streams to the relay. Its listeners stay open while the relay is away; whoever
 * connects then is closed at once.
 */
export class ClientProxy {
  readonly #deps: ClientProxyDeps;
  readonly #options: ClientProxyOptions;
  readonly #connector: SessionConnector;
  readonly #entrances: readonly Entrance[];
  readonly #scope = new Scope();

  constructor(deps: ClientProxyDeps, options: ClientProxyOptions) {
    this.#deps = deps;
    this.#options = options;
    const { clock, random, metrics } = deps;
    // Whoever reaches an entrance can provoke any number of warnings.
    const log = rateLimited(deps.log, clock, refusalRate);
    this.#connector = new SessionConnector(
      { clock, random, log, metrics, session: () => this.#session() },
      { answerTimeout: options.answerTimeout },
    );
    this.#entrances = deps.entrances(this.#connector);
  }

  /** Opens connections for whoever is not an entrance of this proxy, such as standard input. */
  get connector(): Connector {
    return this.#connector;
  }

  /** Where it listens, in the order of the configuration. */
  get addresses(): readonly string[] {
    return this.#entrances.flatMap((entrance) => entrance.address ?? []);
  }

  /**
   * Binds the entrances and starts dialling the relay, without waiting for it.
   * @throws TransportError `address_in_use` and its kin; nothing stays bound then.
   */
  async start(): Promise<void> {
    this.#scope.add(() => this.#deps.link.stop(shutdownReason));
    try {
      for (const entrance of this.#entrances) {
        await entrance.start();
        this.#scope.add(() => entrance.close());
        const { kind, addresses, destination } = entrance.describe();
        this.#deps.log.info("client.listening", { kind, addresses, destination });
      }
    } catch (error) {
      await this.#scope.close();
      throw error;
    }
    this.#deps.link.start();
  }

  /** A picture of the client for `culvert status`. */
  status(): ClientStatus {
    return clientStatus({
      now: this.#deps.clock.now(),
      link: this.#deps.link.state,
      entrances: this.#entrances,
      connections: this.#connector.live,
    });
  }

  /** Accepts nothing new, and resolves when the open connections have ended or the drain time-out has passed. */
  async drain(): Promise<void> {
    for (const entrance of this.#entrances) entrance.stopAccepting();
    const { clock } = this.#deps;
    const limit = this.#options.drainTimeout;
    const ended = [this.#connector, ...this.#entrances];
    await withDeadline({ clock, limit, what: "draining" }, () =>
      Promise.all(ended.map((each) => each.drained())),
    ).catch(() => undefined);
  }

  /** Closes the entrances and the session. */
  close(): Promise<void> {
    return this.#scope.close();
  }

  #session(): Session | { readonly unavailable: string } {
    const { state } = this.#deps.link;
    switch (state.kind) {
      case "attached":
        return state.session;
      case "connecting":
        return {
          unavailable: `not connected to the relay${state.lastError === undefined ? "" : ` (${state.lastError})`}`,
        };
      case "idle":
      case "stopped":
        return { unavailable: "not connected to the relay" };
    }
  }
}

const refusalRate = { burst: 20, interval: millis(10_000) };
