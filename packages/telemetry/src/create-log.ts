import { createRequire } from "node:module";
import type { Writable } from "node:stream";
import { systemClock, type Clock } from "@culvert/runtime";
import { pino, type Logger } from "pino";
import { describeError } from "./describe-error.ts";
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
}

/**
 * Makes a log that writes in this thread, one line an event. Values under names such as `password` or `token` are replaced, three
 * levels deep; a field named `error` is written as name, message, code, data and causes.
 */
export function createLog(options: LogOptions): Log {
  const { level, format, destination, clock = systemClock, fields = {} } = options;
  destination.on("error", () => undefined);
  const pretty = format === "pretty" || (format === "auto" && destination.isTTY === true);
  const write = pretty ? prettyWriter(destination) : destination.write.bind(destination);
  const logger = pino(
    {
      level,
      base: { ...fields },
      timestamp: () => `,"time":"${new Date(clock.wallNowMs()).toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: describeError },
      redact: { paths: secretPaths, censor: "[redacted]" },
    },
    {
      write: (line: string) => {
        if (!destination.destroyed && !destination.writableEnded) write(line);
      },
    },
  );
  return new PinoLog(logger, level);
}

class PinoLog implements Log {
  readonly level: LogLevel;
  readonly #logger: Logger;

  constructor(logger: Logger, level: LogLevel) {
    this.#logger = logger;
    this.level = level;
  }

  debug(event: LogEvent, fields?: LogFields): void {
    this.#logger.debug({ event, ...fields });
  }

  info(event: LogEvent, fields?: LogFields): void {
    this.#logger.info({ event, ...fields });
  }

  warn(event: LogEvent, fields?: LogFields): void {
    this.#logger.warn({ event, ...fields });
  }

  error(event: LogEvent, fields?: LogFields): void {
    this.#logger.error({ event, ...fields });
  }

  child(fields: LogFields): Log {
    return new PinoLog(this.#logger.child(fields), this.level);
  }
}

/** Loads pino-pretty only where a person reads along; it formats in this thread, so that nothing is lost at exit. */
function prettyWriter(destination: LogOptions["destination"]): (line: string) => void {
  const { prettyFactory } = createRequire(import.meta.url)("pino-pretty") as PinoPretty;
  const format = prettyFactory({
    colorize: destination.isTTY === true,
    translateTime: "SYS:HH:MM:ss.l",
    messageKey: "event",
    levelLabel: "level",
    singleLine: true,
    ignore: "pid,hostname",
  });
  return (line) => destination.write(format(line));
}

interface PinoPretty {
  readonly prettyFactory: (options: Readonly<Record<string, unknown>>) => (line: string) => string;
}

const secretNames = [
  "password",
  "secret",
  "token",
  "privateKey",
  "authorization",
  "proxyAuthorization",
];
const secretPaths = ["", "*.", "*.*."].flatMap((prefix) =>
  secretNames.map((name) => prefix + name),
);
