import { ConfigError } from "./errors.ts";

/**
 * Parses a number of bytes: `65536`, `64KiB`, `4 MiB`, `1GiB`. Units are powers of 1,024.
 * @throws ConfigError `bad_byte_size` naming the text.
 */
export function parseByteSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*(B|KiB|MiB|GiB)?$/.exec(text.trim());
  const power = match?.[2] === undefined ? 0 : units.indexOf(match[2]);
  const bytes = match === null ? NaN : Number(match[1]) * 1024 ** power;
  // Nobody means half a byte, and beyond 2^53 numbers have gaps.
  const usable = bytes <= Number.MAX_SAFE_INTEGER && (power > 0 || Number.isInteger(bytes));
  if (!usable) {
    throw new ConfigError(
      "bad_byte_size",
      `"${text}" is not a size; write bytes or a number with KiB, MiB or GiB, such as 4MiB`,
      { data: { text } },
    );
  }
  return Math.round(bytes);
}

/** Prints a number of bytes in its largest fitting unit: `512 B`, `1.5 MiB`. */
export function formatByteSize(bytes: number): string {
  let value = bytes;
  let power = 0;
  while (value >= 1024 && power < units.length - 1) {
    value /= 1024;
    power += 1;
  }
  return `${String(Math.round(value * 10) / 10)} ${units[power] ?? "B"}`;
}

const units = ["B", "KiB", "MiB", "GiB"];
