import type { Clock, Millis } from "@culvert/runtime";
import type { Log, LogFields } from "./log.ts";
import type { LogEvent } from "./log-events.ts";

/** How often the same event may be written. */
export interface RateLimit {
  /** Lines of one event and level per {@link interval}. */
  readonly burst: number;
  readonly interval: Millis;
}

/**
 * A log that writes each warning and error at most `burst` times per interval. The first line after a silence carries
 * `suppressed`, the number of lines left out. Whatever peers provoke goes through this. Children share the count.
 */
export function rateLimited(log: Log, clock: Pick<Clock, "now">, limit: RateLimit): Log {
  return new RateLimitedLog(log, clock, limit, new Map());
}

interface Window {
  startedMs: number;
  written: number;
  suppressed: number;
}

class RateLimitedLog implements Log {
  readonly #log: Log;
  readonly #clock: Pick<Clock, "now">;
  readonly #limit: RateLimit;
  /** One entry per event name and level: bounded by the union of names. */
  readonly #windows: Map<string, Window>;

  constructor(log: Log, clock: Pick<Clock, "now">, limit: RateLimit, windows: Map<string, Window>) {
    this.#log = log;
    this.#clock = clock;
    this.#limit = limit;
    this.#windows = windows;
  }

  get level(): Log["level"] {
    return this.#log.level;
  }

  debug(event: LogEvent, fields?: LogFields): void {
    this.#log.debug(event, fields);
  }

  info(event: LogEvent, fields?: LogFields): void {
    this.#log.info(event, fields);
  }

  warn(event: LogEvent, fields?: LogFields): void {
    const extra = this.#take(`warn ${event}`);
    if (extra !== undefined) this.#log.warn(event, { ...fields, ...extra });
  }

  error(event: LogEvent, fields?: LogFields): void {
    const extra = this.#take(`error ${event}`);
    if (extra !== undefined) this.#log.error(event, { ...fields, ...extra });
  }

  child(fields: LogFields): Log {
    return new RateLimitedLog(this.#log.child(fields), this.#clock, this.#limit, this.#windows);
  }

  /** The fields to add to a line that may be written, or undefined where it may not. */
  #take(key: string): LogFields | undefined {
    const nowMs = this.#clock.now();
    const window = this.#windows.get(key);
    if (window === undefined || nowMs - window.startedMs >= this.#limit.interval) {
      this.#windows.set(key, { startedMs: nowMs, written: 1, suppressed: 0 });
      const suppressed = window?.suppressed ?? 0;
      return suppressed === 0 ? {} : { suppressed };
    }
    if (window.written < this.#limit.burst) {
      window.written += 1;
      return {};
    }
    window.suppressed += 1;
    return undefined;
  }
}
