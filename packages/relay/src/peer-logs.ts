import { millis, type Clock } from "@culvert/runtime";
import { rateLimited, type Log } from "@culvert/telemetry";

/**
 * Logs for what peers provoke, each with a rate limit of its own: one peer's refusals do not hide another's. As many as there are
 * known peers, and one for all strangers.
 */
export class PeerLogs {
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #logs = new Map<string | undefined, Log>();

  constructor(log: Log, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
  }

  /** The log of a known peer, or with undefined that of strangers. */
  of(name: string | undefined): Log {
    let log = this.#logs.get(name);
    if (log === undefined) {
      log = rateLimited(this.#log, this.#clock, refusalRate);
      this.#logs.set(name, log);
    }
    return log;
  }
}

/** Warnings of one event and peer. */
const refusalRate = { burst: 20, interval: millis(10_000) };
