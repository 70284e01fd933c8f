import { millis, type Clock, type Timer } from "@culvert/runtime";
import type { Log } from "@culvert/telemetry";
import { logAgentLine } from "./agent-line.ts";

/** What one agent says on its standard error, as it goes to the log: so much at a time, and the rest as a number. */
export class AgentLines {
  readonly #log: Log;
  readonly #clock: Clock;
  #lines = 0;
  /** Runs from the first line after a silence; ends what may be said at a time. */
  #window: Timer | undefined;

  constructor(log: Log, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
  }

  /** Writes a line into the log, or counts it. */
  add(line: string): void {
    this.#window ??= this.#clock.setTimer(windowLength, () => this.flush(), { unref: true });
    this.#lines += 1;
    if (this.#lines <= maxLines) logAgentLine(this.#log, line);
  }

  /** Tells how many lines were left out since that was last told, and begins anew. */
  flush(): void {
    this.#window?.cancel();
    this.#window = undefined;
    const suppressed = this.#lines - maxLines;
    this.#lines = 0;
    if (suppressed > 0) this.#log.warn("norouter.agent.stderr", { suppressed });
  }
}

const maxLines = 200;
const windowLength = millis(10_000);
