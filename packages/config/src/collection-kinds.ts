import type { Kind } from "./kind.ts";
import { show, type Place } from "./place.ts";
import { didYouMean } from "./suggest.ts";

/** A list of values. As text: the values with blanks between them, or a JSON list. */
export function listOf<T>(kind: Kind<T>, most: number): Kind<readonly T[]> {
  const expected = `a list of at most ${most} entries, each ${kind.expected}`;
  return {
    expected,
    parse(raw, place) {
      const items = typeof raw === "string" ? listFromText(raw, place) : raw;
      if (!Array.isArray(items) || items.length > most) {
        const found = Array.isArray(items) ? `a list of ${items.length}` : show(items);
        return place.reject(`expected ${expected}, found ${found}`);
      }
      const values = items.flatMap((item: unknown, index) => {
        const value = place.entry(index).attempt((at) => kind.parse(item, at));
        return value === undefined ? [] : [value];
      });
      return Object.freeze(values);
    },
    print: (values) => values.map((value) => kind.print(value)),
  };
}

/** A mapping from names to values. As text: `name=value` with blanks between, or a JSON object. */
export function mapOf<T>(
  name: Kind<string>,
  kind: Kind<T>,
  most: number,
): Kind<ReadonlyMap<string, T>> {
  const expected = `a mapping of at most ${most} entries from ${name.expected} to ${kind.expected}`;
  return {
    expected,
    parse(raw, place) {
      const mapping = typeof raw === "string" ? mappingFromText(raw, place) : raw;
      if (!isMapping(mapping)) return place.fail(expected, mapping);
      const entries = Object.entries(mapping);
      if (entries.length > most) {
        return place.reject(`expected ${expected}, found ${entries.length}`);
      }
      const values = new Map<string, T>();
      for (const [key, item] of entries) {
        place.key(key).attempt((at) => values.set(name.parse(key, at), kind.parse(item, at)));
      }
      return values;
    },
    print: (values) =>
      Object.fromEntries([...values].map(([key, value]) => [key, kind.print(value)])),
  };
}

/** The kinds of an entry's keys; each is required unless its kind says what leaving it out means. */
export type EntryShape<T> = { readonly [K in keyof T]: Kind<T[K]> };

/** A mapping with fixed keys. As text: a JSON object. */
export function entryOf<T extends object>(shape: EntryShape<T>): Kind<T> {
  const keys = Object.keys(shape) as (keyof T & string)[];
  const expected = `a mapping with ${keys.join(", ")}`;
  return {
    expected,
    parse(raw, place) {
      if (!isMapping(raw)) return place.fail(expected, raw);
      for (const key of Object.keys(raw)) {
        if (!keys.includes(key as keyof T & string)) {
          place.key(key).note(`unknown key${didYouMean(key, keys)}`);
        }
      }
      const values: Partial<T> = {};
      let whole = true;
      for (const key of keys) {
        const read = place.key(key).attempt((at) => [readKey(shape[key], raw[key], at)] as const);
        if (read === undefined) whole = false;
        else [values[key]] = read;
      }
      return whole ? Object.freeze(values as T) : place.leave();
    },
    print: (value) =>
      Object.fromEntries(
        keys
          .map((key) => [key, shape[key].print(value[key])] as const)
          .filter(([, printed]) => printed !== undefined),
      ),
  };
}

/** Whether a value is a mapping as YAML and JSON have it. */
export function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function readKey<T>(kind: Kind<T>, raw: unknown, place: Place): T {
  if (raw !== undefined && raw !== null) return kind.parse(raw, place);
  return kind.absent === undefined
    ? place.reject(`is required: ${kind.expected}`)
    : kind.absent.value;
}

function listFromText(text: string, place: Place): unknown {
  if (/^\s*\[\s*["{\]]/.test(text)) return parseJson(text, place);
  return text.split(/\s+/).filter((word) => word !== "");
}

function mappingFromText(text: string, place: Place): unknown {
  if (/^\s*\{/.test(text)) return parseJson(text, place);
  const words = text.split(/\s+/).filter((word) => word !== "");
  const pairs = words.map((word) => /^([^=]+)=(.*)$/.exec(word));
  if (pairs.includes(null)) {
    // The text may hold passwords, so it is not shown.
    return place.reject("expected name=value pairs with blanks between them, or a JSON object");
  }
  return Object.fromEntries(pairs.map((pair) => [pair?.[1] ?? "", pair?.[2] ?? ""]));
}

function parseJson(text: string, place: Place): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return place.reject("expected JSON, found text that is none");
  }
}
