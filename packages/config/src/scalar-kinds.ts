import { resolve } from "node:path";
import {
  formatByteSize,
  formatMillis,
  parseByteSize,
  parseMillis,
  type Millis,
} from "@culvert/runtime";
import { parsePeerId, type PeerId } from "@culvert/identity";
import type { Kind } from "./kind.ts";
import { Secret } from "./secret.ts";

/** Bounds of a number, both allowed. */
export interface Bounds {
  readonly min: number;
  readonly max: number;
}

/** A duration with its unit. */
export function durationKind(bounds: { readonly min: Millis; readonly max: Millis }): Kind<Millis> {
  const span = `${formatMillis(bounds.min)} to ${formatMillis(bounds.max)}`;
  const expected = `a duration of ${span}, such as 250ms, 30s, 5m or 1h`;
  return {
    expected,
    parse(raw, place) {
      if (typeof raw !== "string") return place.fail(expected, raw);
      const value = quietly(() => parseMillis(raw));
      if (value === undefined || value < bounds.min || value > bounds.max) {
        return place.fail(expected, raw);
      }
      return value;
    },
    print: formatMillis,
  };
}

/** A number of bytes, with or without a unit. */
export function sizeKind(bounds: Bounds): Kind<number> {
  const span = `${printSize(bounds.min)} to ${printSize(bounds.max)}`;
  const expected = `a size of ${span}, such as 65536, 64KiB or 4MiB`;
  return {
    expected,
    parse(raw, place) {
      const text = typeof raw === "number" ? String(raw) : raw;
      if (typeof text !== "string") return place.fail(expected, raw);
      const value = quietly(() => parseByteSize(text));
      if (value === undefined || value < bounds.min || value > bounds.max) {
        return place.fail(expected, raw);
      }
      return value;
    },
    print: printSize,
  };
}

/** A whole number. */
export function countKind(bounds: Bounds): Kind<number> {
  const expected = `a whole number from ${bounds.min} to ${bounds.max}`;
  return {
    expected,
    parse(raw, place) {
      const value =
        typeof raw === "string" && /^\d{1,15}$/.test(raw.trim()) ? Number(raw.trim()) : raw;
      if (typeof value !== "number" || !Number.isInteger(value)) return place.fail(expected, raw);
      return value < bounds.min || value > bounds.max ? place.fail(expected, raw) : value;
    },
    print: (value) => value,
  };
}

/** One of a few words. */
export function choiceKind<const T extends string>(choices: readonly T[]): Kind<T> {
  const expected = `one of ${choices.join(", ")}`;
  return {
    expected,
    parse: (raw, place) => choices.find((choice) => choice === raw) ?? place.fail(expected, raw),
    print: (value) => value,
  };
}

/** Yes or no. */
export const booleanKind: Kind<boolean> = {
  expected: "true or false",
  parse(raw, place) {
    if (typeof raw === "boolean") return raw;
    if (raw === "true") return true;
    return raw === "false" ? false : place.fail(booleanKind.expected, raw);
  },
  print: (value) => value,
};

/** A path; a relative one starts at the folder of the configuration file. */
export const pathKind: Kind<string> = {
  expected: "a path",
  parse(raw, place) {
    if (typeof raw !== "string" || raw === "" || raw.includes("\0")) {
      return place.fail(pathKind.expected, raw);
    }
    return resolve(place.folder, raw);
  },
  print: (value) => value,
};

/** A peer id. */
export const peerIdKind: Kind<PeerId> = {
  expected: "a peer id such as 12D3KooW… (printed by culvert key show FILE)",
  parse(raw, place) {
    if (typeof raw !== "string") return place.fail(peerIdKind.expected, raw);
    return quietly(() => parsePeerId(raw)) ?? place.fail(peerIdKind.expected, raw);
  },
  print: (value) => value,
};

/** A password or token. */
export const secretKind: Kind<Secret> = {
  expected: "a text of 1 to 255 bytes",
  parse(raw, place) {
    const text = typeof raw === "number" ? String(raw) : raw;
    const length = typeof text === "string" ? Buffer.byteLength(text) : 0;
    if (typeof text !== "string" || length < 1 || length > 255) {
      return place.reject(`expected ${secretKind.expected}, found something else (not shown)`);
    }
    return new Secret(text);
  },
  print: (value) => value.toString(),
};

/** Another kind, or the word `off`. */
export function orOff<T>(kind: Kind<T>): Kind<T | undefined> {
  return {
    expected: `${kind.expected}, or off`,
    parse: (raw, place) => (raw === "off" || raw === false ? undefined : kind.parse(raw, place)),
    print: (value) => (value === undefined ? "off" : kind.print(value)),
  };
}

/** Another kind, or the word `auto`. */
export function orAuto<T>(kind: Kind<T>): Kind<T | undefined> {
  return {
    expected: `${kind.expected}, or auto`,
    parse: (raw, place) => (raw === "auto" ? undefined : kind.parse(raw, place)),
    print: (value) => (value === undefined ? "auto" : kind.print(value)),
  };
}

function printSize(bytes: number): string {
  if (bytes < 1024) return String(bytes);
  const text = formatByteSize(bytes).replace(" ", "");
  return parseByteSize(text) === bytes ? text : String(bytes);
}

function quietly<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch {
    return undefined;
  }
}
