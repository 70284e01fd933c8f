import { millis, withDeadline, type Clock } from "@culvert/runtime";
import { rateLimited, type Log } from "@culvert/telemetry";
import { shutdownReason, type RelayLink, type Session } from "@culvert/transport";
import type { Exit } from "./exits/exit.ts";
import type { EndServerMetrics } from "./metrics.ts";
import { OfferDesk } from "./offer-desk.ts";
import type { EndServerOptions } from "./options.ts";
import { endServerStatus, type EndServerStatus } from "./status.ts";

/** What an end-server proxy needs from outside. */
export interface EndServerDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: EndServerMetrics;
  /** Opens targets, and refuses those that are not allowed. */
  readonly exit: Exit;
  /** Makes the link to the relay, which the proxy owns; `serve` takes each attached session's streams. */
  readonly link: (serve: (session: Session) => void) => RelayLink;
}

/** P4: attaches to the relay and turns its offers into connections to local targets that its own allow list permits. */
export class EndServerProxy {
  readonly #deps: EndServerDeps;
  readonly #options: EndServerOptions;
  readonly #desk: OfferDesk;
  readonly #link: RelayLink;

  constructor(deps: EndServerDeps, options: EndServerOptions) {
    this.#deps = deps;
    this.#options = options;
    const log = rateLimited(deps.log, deps.clock, refusalRate);
    this.#desk = new OfferDesk({ ...deps, log }, options);
    this.#link = deps.link((session) => void this.#serve(session));
  }

  /** Starts dialling the relay, without waiting for it. */
  start(): void {
    this.#link.start();
  }

  /** A picture of the end server for `culvert status`. */
  status(): EndServerStatus {
    return endServerStatus({
      now: this.#deps.clock.now(),
      link: this.#link.state,
      exit: this.#deps.exit,
      connections: this.#desk.live,
    });
  }

  /** Accepts nothing new, and resolves when the open connections have ended or the drain time-out has passed. */
  async drain(): Promise<void> {
    const { clock } = this.#deps;
    const limit = this.#options.drainTimeout;
    await withDeadline({ clock, limit, what: "draining" }, () => this.#desk.drained()).catch(
      () => undefined,
    );
  }

  /** Closes the session and stops dialling. */
  close(): Promise<void> {
    return this.#link.stop(shutdownReason);
  }

  async #serve(session: Session): Promise<void> {
    for await (const stream of session.streams) void this.#desk.serve(stream);
  }
}

/** Warnings of one event: clients can provoke any number of refusals. */
const refusalRate = { burst: 20, interval: millis(10_000) };
