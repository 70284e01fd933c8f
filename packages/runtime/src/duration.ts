import { ConfigError } from "./errors.ts";

declare const unit: unique symbol;

/** A length of time in milliseconds. Made by {@link millis} or {@link parseMillis}, so seconds cannot pass for it. */
export type Millis = number & { readonly [unit]: "ms" };

/**
 * Makes a duration of `value` milliseconds.
 * @throws ConfigError `bad_duration` if the value is negative or not finite.
 */
export function millis(value: number): Millis {
  if (!Number.isFinite(value) || value < 0) {
    throw new ConfigError("bad_duration", `${value} is not a duration in milliseconds`, {
      data: { value },
    });
  }
  return value as Millis;
}

/**
 * Parses a duration with its unit: `250ms`, `30s`, `1.5m`, `2h`.
 * @throws ConfigError `bad_duration` naming the text; a bare number is refused, since its unit would be a guess.
 */
export function parseMillis(text: string): Millis {
  const match = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h)$/.exec(text.trim());
  const factor = match?.[2] === undefined ? undefined : factorMs.get(match[2]);
  const value = Number(match?.[1]) * (factor ?? NaN);
  if (!Number.isFinite(value)) {
    throw new ConfigError(
      "bad_duration",
      `"${text}" is not a duration; write a number with ms, s, m or h, such as 30s`,
      { data: { text } },
    );
  }
  return millis(value);
}

/** Prints a duration in its largest fitting unit: `250ms`, `1.5s`, `2m`. */
export function formatMillis(duration: number): string {
  if (duration < 1000) return `${trim(duration)}ms`;
  if (duration < 60_000) return `${trim(duration / 1000)}s`;
  if (duration < 3_600_000) return `${trim(duration / 60_000)}m`;
  return `${trim(duration / 3_600_000)}h`;
}

function trim(value: number): string {
  return String(Math.round(value * 100) / 100);
}

const factorMs = new Map([
  ["ms", 1],
  ["s", 1000],
  ["m", 60_000],
  ["h", 3_600_000],
]);
