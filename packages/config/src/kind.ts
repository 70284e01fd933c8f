import type { Place } from "./place.ts";

/** A kind of value: how it is read from what a file, a variable or a flag says, and how it is written back. */
export interface Kind<T> {
  /** What a right value looks like, for messages: `a duration such as 30s`. */
  readonly expected: string;
  /**
   * Reads a value. Text must do, since variables and flags have nothing else.
   * @throws Rejected after the problem is noted at the place.
   */
  parse(raw: unknown, place: Place): T;
  /** The value as a file would say it, secrets redacted. */
  print(value: T): unknown;
  /** Of an entry's key: what it means to leave it out; without it the key must be given. */
  readonly absent?: { readonly value: T };
}

/** The kind of an entry's key that may be left out, with what it means then. */
export function absentAs<T>(value: T, kind: Kind<T>): Kind<T> {
  return { ...kind, absent: { value } };
}

/** The kind of an entry's key that may be left out and then has no value. */
export function absentAsNone<T>(kind: Kind<T>): Kind<T | undefined> {
  return { ...maybe(kind), absent: { value: undefined } };
}

/** One key of a configuration. */
export interface Field<T> {
  readonly field: true;
  readonly doc: string;
  readonly kind: Kind<T>;
  /** What an absent key means, in the words of a file. */
  readonly default: string | undefined;
  /** Whether an absent key without a default is an error. */
  readonly required: boolean;
}

/** The keys of a configuration, or of a section of it. */
export interface Section {
  readonly [key: string]: Field<unknown> | Section;
}

/** The values that a section's keys have. */
export type ValuesOf<S> = {
  readonly [K in keyof S]: S[K] extends Field<infer T> ? T : ValuesOf<S[K]>;
};

/** A key that must be given. */
export function required<T>(kind: Kind<T>, doc: string): Field<T> {
  return { field: true, doc, kind, default: undefined, required: true };
}

/** A key that may be left out, with what it means then. */
export function withDefault<T>(kind: Kind<T>, text: string, doc: string): Field<T> {
  return { field: true, doc, kind, default: text, required: false };
}

/** A key that may be left out and then has no value. */
export function optional<T>(kind: Kind<T>, doc: string): Field<T | undefined> {
  return { field: true, doc, kind: maybe(kind), default: undefined, required: false };
}

/** Whether an entry of a section is a key, not a section. */
export function isField(entry: Field<unknown> | Section): entry is Field<unknown> {
  return entry["field"] === true;
}

/** Every key of a schema, in dotted form. */
export function* pathsOf(schema: Section, prefix = ""): Generator<string> {
  for (const [key, entry] of Object.entries(schema)) {
    if (isField(entry)) yield prefix + key;
    else yield* pathsOf(entry, `${prefix}${key}.`);
  }
}

function maybe<T>(kind: Kind<T>): Kind<T | undefined> {
  return {
    expected: kind.expected,
    parse: (raw, place) => kind.parse(raw, place),
    print: (value) => (value === undefined ? undefined : kind.print(value)),
  };
}
