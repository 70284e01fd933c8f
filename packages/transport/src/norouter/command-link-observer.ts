import { formatMillis, millis, type Clock } from "@culvert/runtime";
import { rateLimited, type Log } from "@culvert/telemetry";
import type { CommandLinkMetrics } from "./command-link-metrics.ts";
import type { CommandLinkObserver } from "./command-link.ts";

/** What the log lines of links are written with. */
export interface CommandLinkObserverOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: CommandLinkMetrics;
}

/** Writes what happens to links into log and metrics. What a command says is cut where it says too much. */
export function commandLinkObserver(options: CommandLinkObserverOptions): CommandLinkObserver {
  const { clock, metrics } = options;
  const voices = new Map<string, Voice>();
  const up = new Set<string>();
  const of = (name: string): Voice => {
    let voice = voices.get(name);
    if (voice === undefined) {
      voice = new Voice(options.log.child({ link: name }), clock);
      voices.set(name, voice);
    }
    return voice;
  };
  return {
    started(name, pid) {
      metrics.starts.inc();
      of(name).log.info("command.started", { pid: pid ?? 0 });
    },
    up(name, session) {
      metrics.up.set(up.add(name).size);
      of(name).log.info("command.up", { peer: session.peer, remote: session.remote });
    },
    said: (name, line) => of(name).say(line),
    down(name, why, delay, wasUp) {
      up.delete(name);
      metrics.up.set(up.size);
      metrics.failures.inc({ state: wasUp ? "up" : "starting" });
      of(name).log.warn("command.down", { reason: why, retryIn: formatMillis(delay) });
    },
  };
}

/** The log of one link, where what its command says has a bound in time. */
class Voice {
  readonly log: Log;
  readonly #clock: Clock;
  #sinceMs: number;
  #said = 0;
  #suppressed = 0;

  constructor(log: Log, clock: Clock) {
    this.log = rateLimited(log, clock, { burst: mostLines, interval: lineInterval });
    this.#clock = clock;
    this.#sinceMs = clock.now();
  }

  say(line: string): void {
    const nowMs = this.#clock.now();
    if (nowMs - this.#sinceMs >= lineInterval) {
      this.#sinceMs = nowMs;
      this.#said = 0;
    }
    this.#said += 1;
    if (this.#said > mostLines) {
      this.#suppressed += 1;
      return;
    }
    const suppressed = this.#suppressed;
    this.#suppressed = 0;
    this.log.info("command.said", suppressed === 0 ? { line } : { line, suppressed });
  }
}

const mostLines = 200;
const lineInterval = millis(10_000);
