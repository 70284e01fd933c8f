import { CulvertError } from "@culvert/runtime";
import type { Problems } from "./problems.ts";

/** Thrown by {@link Place.fail} to leave a parser whose value cannot be used; the problem is noted by then. */
export class Rejected extends Error {}

/** A spot in a configuration: where problems are noted, and what relative paths are relative to. */
export class Place {
  readonly path: string;
  /** The folder of the configuration file, absolute. */
  readonly folder: string;
  readonly #problems: Problems;

  constructor(path: string, folder: string, problems: Problems) {
    this.path = path;
    this.folder = folder;
    this.#problems = problems;
  }

  /** The place of a key of the mapping here. */
  key(name: string): Place {
    const word = /^[\w.:*-]{1,80}$/.test(name) ? name : show(name);
    return new Place(this.path === "" ? word : `${this.path}.${word}`, this.folder, this.#problems);
  }

  /** The place of an entry of the list here, counted from 0. */
  entry(index: number): Place {
    return new Place(`${this.path}[${index}]`, this.folder, this.#problems);
  }

  /** Notes a problem and goes on. */
  note(text: string): void {
    this.#problems.add(this.path, text);
  }

  /** Notes that the value here is not what it should be, and leaves the parser. */
  fail(expected: string, found: unknown): never {
    return this.reject(`expected ${expected}, found ${show(found)}`);
  }

  /** Notes a problem in full words and leaves the parser. */
  reject(text: string): never {
    this.note(text);
    throw new Rejected(text);
  }

  /** Leaves the parser of a value whose parts have problems that are noted. */
  leave(): never {
    throw new Rejected();
  }

  /** Runs a parser; a problem that it noted, or a Culvert error that it threw, leaves undefined. */
  attempt<T>(parse: (place: Place) => T): T | undefined {
    try {
      return parse(this);
    } catch (error) {
      if (error instanceof Rejected) return undefined;
      if (!(error instanceof CulvertError)) throw error;
      this.note(error.message);
      return undefined;
    }
  }
}

/** A value as a person recognises it, shortened. */
export function show(value: unknown): string {
  if (value === undefined || value === null) return "nothing";
  if (typeof value === "object") return Array.isArray(value) ? "a list" : "a mapping";
  // Numbers, booleans and big integers look in JSON as they do in YAML.
  const text = typeof value === "bigint" ? value.toString() : JSON.stringify(value);
  return text.length <= mostCharactersShown ? text : `${text.slice(0, mostCharactersShown)}…"`;
}

const mostCharactersShown = 80;
