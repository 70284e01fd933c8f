import { createRequire } from "node:module";
import type { Writable } from "node:stream";
import { systemClock, type Clock } from "@culvert/runtime";
import { pino, type Logger } from "pino";
import { describeError } from "./describe-error.ts";
import { fieldsForEyes } from "./fields-for-eyes.ts";
import { hideSecrets } from "./hide-secrets.ts";
import { LineWriter } from "./line-writer.ts";
import type { Log, LogFields, LogLevel } from "./log.ts";
import type { LogEvent } from "./log-events.ts";

/** How lines look: `json` is one object a line, `pretty` is for eyes, `auto` is pretty on a terminal. */
export type LogFormat = "auto" | "pretty" | "json";

/** How {@link createLog} writes. */
export interface LogOptions {
  readonly level: LogLevel;
  readonly format: LogFormat;
  /**
   * Where lines go; a daemon gives its standard error, which Node writes synchronously on POSIX, so that the last line
   * before an exit is not lost. Not owned: it is never ended. A reader that went away is no reason to stop.
   */
  readonly destination: Writable & { readonly isTTY?: boolean };
  readonly clock?: Pick<Clock, "wallNowMs">;
  /** Fields of every line, such as the role of the daemon. */
  readonly fields?: LogFields;
  /** Where given, lines below `warn` are gathered for some milliseconds; without it every line is written at once. */
  readonly gather?: Gathering;
}

/** What gathering lines needs. */
export interface Gathering {
  readonly clock: Pick<Clock, "setTimer">;
  /** Called once, with what is to be called when the process exits: it writes what waits. */
  readonly atExit: (flush: () => void) => void;
}

/**
 * Makes a log that writes in this thread, one line an event. Values under names such as `password` or `token` are replaced, three
 * levels deep; a field named `error` is written as name, message, code, data and causes.
 */
export function createLog(options: LogOptions): Log {
  const { level, format, destination, clock = systemClock, fields = {}, gather } = options;
  destination.on("error", () => undefined);
  const pretty = format === "pretty" || (format === "auto" && destination.isTTY === true);
  const shape = pretty ? prettyShape(destination, level) : (line: string) => line;
  const writer = new LineWriter(destination, gather?.clock ?? systemClock);
  gather?.atExit(writer.flush);
  const logger = pino(
    {
      level,
      base: { ...fields },
      timestamp: timestamps(clock),
      formatters: { level: (label) => ({ level: label }) },
    },
    {
      write: (line: string) => {
        if (destination.destroyed || destination.writableEnded) return;
        writer.add(shape(line));
        if (gather === undefined) writer.flush();
      },
    },
  );
  return new PinoLog({ logger, flush: writer.flush }, level, noFields);
}

interface Output {
  readonly logger: Logger;
  readonly flush: () => void;
}

class PinoLog implements Log {
  readonly level: LogLevel;
  readonly #output: Output;
  readonly #fields: LogFields;

  constructor(output: Output, level: LogLevel, fields: LogFields) {
    this.#output = output;
    this.level = level;
    this.#fields = fields;
  }

  debug(event: LogEvent, fields?: LogFields): void {
    if (this.#writes("debug")) this.#output.logger.debug(this.#line(event, fields));
  }

  info(event: LogEvent, fields?: LogFields): void {
    if (this.#writes("info")) this.#output.logger.info(this.#line(event, fields));
  }

  warn(event: LogEvent, fields?: LogFields): void {
    if (!this.#writes("warn")) return;
    this.#output.logger.warn(this.#line(event, fields));
    this.#output.flush();
  }

  error(event: LogEvent, fields?: LogFields): void {
    if (!this.#writes("error")) return;
    this.#output.logger.error(this.#line(event, fields));
    this.#output.flush();
  }

  /** Its fields are kept as they are: a logger of pino's own for two lines costs more than the lines. */
  child(fields: LogFields): Log {
    return new PinoLog(this.#output, this.level, { ...this.#fields, ...fields });
  }

  #writes(level: LogLevel): boolean {
    return this.#output.logger.isLevelEnabled(level);
  }

  #line(event: LogEvent, fields: LogFields | undefined): LogFields {
    const line: Record<string, unknown> = { event, ...this.#fields, ...fields };
    if (line["error"] !== undefined) line["error"] = describeError(line["error"]);
    return hideSecrets(line);
  }
}

/** The time of a line, made once for all lines of a millisecond. */
function timestamps(clock: Pick<Clock, "wallNowMs">): () => string {
  let lastMs = Number.NaN;
  let text = "";
  return () => {
    const nowMs = clock.wallNowMs();
    if (nowMs !== lastMs) {
      lastMs = nowMs;
      text = `,"time":"${new Date(nowMs).toISOString()}"`;
    }
    return text;
  };
}

/** Loads pino-pretty only where a person reads along; it formats in this thread, so that nothing is lost at exit. */
function prettyShape(
  destination: LogOptions["destination"],
  level: LogLevel,
): (line: string) => string {
  const { prettyFactory } = createRequire(import.meta.url)("pino-pretty") as PinoPretty;
  return prettyFactory({
    colorize: destination.isTTY === true,
    translateTime: "SYS:HH:MM:ss.l",
    levelLabel: "level",
    // Its metadata would take the field `name` for that of a logger.
    ignore: "pid,hostname,name",
    hideObject: true,
    messageFormat: (fields, _key, _label, { colors }) =>
      `${String(fields["event"])} ${colors.reset(fieldsForEyes(fields, level === "debug"))}`.trimEnd(),
  });
}

interface PinoPretty {
  readonly prettyFactory: (
    options: Readonly<Record<string, unknown>> & {
      readonly messageFormat: (
        fields: Readonly<Record<string, unknown>>,
        messageKey: string,
        levelLabel: string,
        extra: { readonly colors: { readonly reset: (text: string) => string } },
      ) => string;
    },
  ) => (line: string) => string;
}

const noFields: LogFields = {};
