import type { LogEvent } from "./log-events.ts";

/** How grave a line is. `silent` as a threshold writes nothing. */
export type LogLevel = "debug" | "info" | "warn" | "error" | "silent";

/** All levels, from the most talkative to none. */
export const logLevels: readonly LogLevel[] = ["debug", "info", "warn", "error", "silent"];

/** What a line says besides its event: facts, not sentences. Never a secret; `error` may be an Error. */
export type LogFields = Readonly<Record<string, unknown>>;

/**
 * Writes structured events. `debug`: for whoever looks for a fault; `info`: what an operator wants to have on record; `warn`:
 * what an operator should look at; `error`: what stops us from doing our work. Nothing per packet. Never throws.
 */
export interface Log {
  /** The least grave level that is written. */
  readonly level: LogLevel;
  /** Writes an event for fault-finding. */
  debug(event: LogEvent, fields?: LogFields): void;
  /** Writes an event for the record. */
  info(event: LogEvent, fields?: LogFields): void;
  /** Writes an event that an operator should look at. */
  warn(event: LogEvent, fields?: LogFields): void;
  /** Writes an event that stops us from doing our work. */
  error(event: LogEvent, fields?: LogFields): void;
  /** A log that adds `fields` to each of its lines; costs little, so that every connection may have one. */
  child(fields: LogFields): Log;
}

/** A log that writes nothing. */
export const silentLog: Log = {
  level: "silent",
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silentLog,
};
