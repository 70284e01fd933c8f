import { formatMillis, millis, type Clock } from "@culvert/runtime";
import { rateLimited, type Log } from "@culvert/telemetry";
import { statusName } from "@culvert/wire";
import type { LinkMetrics } from "./metrics.ts";
import type { LinkObserver } from "./relay-link.ts";

/** What the log lines of a link are written with. */
export interface LinkObserverOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: LinkMetrics;
  /** Whether the events are named after a client or a server. */
  readonly role: "client" | "server";
  /** The relay as configured, `relay.example.com:443`. */
  readonly relay: string;
}

/** Writes what happens to a link into log and metrics. */
export function linkObserver(options: LinkObserverOptions): LinkObserver {
  const { clock, metrics, role, relay } = options;
  const log = rateLimited(options.log, clock, { burst: 5, interval: millis(10_000) });
  const carriedBy = (transport: string | undefined): void => {
    metrics.transport.reset();
    if (transport !== undefined) metrics.transport.set({ transport }, 1);
  };
  return {
    dialing: (attempt) => log.debug("link.dialing", { relay, attempt }),
    retrying: (error, delay) => {
      metrics.attempts.inc({ result: "failed" });
      log.warn("link.retry", { relay, reason: error.message, retryIn: formatMillis(delay) });
    },
    refused: (status, text, delay) => {
      metrics.attempts.inc({ result: "refused" });
      log.error("link.refused", {
        relay,
        status: statusName(status),
        reason: text,
        retryIn: formatMillis(delay),
      });
    },
    attached: (session, answer) => {
      metrics.attempts.inc({ result: "attached" });
      metrics.up.set(1);
      carriedBy(session.transport);
      log.info(`${role}.attached`, {
        relay,
        remote: session.remote,
        transport: session.transport,
        name: answer.name,
        software: answer.software,
      });
    },
    moved: (from, to) => {
      metrics.moves.inc();
      carriedBy(to.transport);
      log.info("link.moved", { relay, remote: to.remote, from: from.transport, to: to.transport });
    },
    notMoved: (error, delay) =>
      log.debug("link.not_moved", { relay, reason: error.message, retryIn: formatMillis(delay) }),
    left: (session, reason) =>
      log.info("link.left", {
        relay,
        remote: session.remote,
        transport: session.transport,
        by: reason.by,
        code: reason.code,
        reason: reason.text,
      }),
    detached: (reason) => {
      metrics.up.set(0);
      carriedBy(undefined);
      metrics.lost.inc({ by: reason.by });
      log.warn(`${role}.detached`, {
        relay,
        by: reason.by,
        code: reason.code,
        reason: reason.text,
      });
    },
  };
}
