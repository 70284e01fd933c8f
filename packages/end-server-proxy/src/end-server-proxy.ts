import { millis, withDeadline, type Clock } from "@culvert/runtime";
import { rateLimited, type Log } from "@culvert/telemetry";
import { shutdownReason, type RelayLink, type Session } from "@culvert/transport";
import type { AttachAnswer } from "@culvert/wire";
import { ConnectionLedger } from "./connection-ledger.ts";
import type { Exit } from "./exits/exit.ts";
import type { EndServerMetrics } from "./metrics.ts";
import { OfferDesk } from "./offer-desk.ts";
import type { EndServerOptions } from "./options.ts";
import type { PublicObserver } from "./public/exchange.ts";
import type { ExposeRule } from "./public/expose-rule.ts";
import { exposeStatuses } from "./public/expose-status.ts";
import { PublicDesk, type PublicDeskDeps } from "./public/public-desk.ts";
import { endServerStatus, type EndServerStatus } from "./status.ts";

/** What an end-server proxy needs from outside. */
export interface EndServerDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: EndServerMetrics;
  /** Opens targets, and refuses those that are not allowed. */
  readonly exit: Exit;
  /** Connects to the local service of an expose; needed where the options have any. */
  readonly dialService?: PublicDeskDeps["dial"] | undefined;
  /** Is told of public connections and their requests. */
  readonly observer?: PublicObserver | undefined;
  /** Makes the link to the relay, which the proxy owns; `serve` takes each attached session's streams. */
  readonly link: (serve: (session: Session) => void) => RelayLink;
}

/** P4: attaches to the relay and turns its offers into connections to local targets that its own allow list permits. */
export class EndServerProxy {
  readonly #deps: EndServerDeps;
  readonly #options: EndServerOptions;
  readonly #desk: OfferDesk;
  readonly #ledger: ConnectionLedger;
  readonly #exposes: readonly ExposeRule[];
  readonly #link: RelayLink;

  constructor(deps: EndServerDeps, options: EndServerOptions) {
    this.#deps = deps;
    this.#options = options;
    const log = rateLimited(deps.log, deps.clock, refusalRate);
    this.#ledger = new ConnectionLedger(deps);
    this.#exposes = options.exposes ?? [];
    const parts = { ...deps, log, ledger: this.#ledger };
    this.#desk = new OfferDesk({ ...parts, publicDesk: this.#publicDesk(parts) }, options);
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
      connections: this.#ledger.live,
      exposes: this.#exposes,
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

  #publicDesk(parts: Omit<PublicDeskDeps, "dial">): PublicDesk | undefined {
    const dial = this.#deps.dialService;
    if (dial === undefined || this.#exposes.length === 0) return undefined;
    return new PublicDesk({ ...parts, dial }, this.#exposes);
  }

  async #serve(session: Session): Promise<void> {
    const { state } = this.#link;
    if (state.kind === "attached" && state.session === session) this.#logExposes(state.answer);
    for await (const stream of session.streams) void this.#desk.serve(stream);
  }

  #logExposes(answer: AttachAnswer): void {
    const { log } = this.#deps;
    for (const { expose, state, text, url } of exposeStatuses(this.#exposes, answer)) {
      if (state === "granted") log.info("server.expose.granted", { expose, url });
      else log.warn("server.expose.refused", { expose, reason: text });
    }
  }
}

/** Warnings of one event: clients can provoke any number of refusals. */
const refusalRate = { burst: 20, interval: millis(10_000) };
