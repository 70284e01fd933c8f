import { dirname, resolve } from "node:path";
import { ConfigError } from "@culvert/runtime";
import convict from "convict";
import { isMapping } from "./collection-kinds.ts";
import { readConfigFile } from "./config-file.ts";
import { knownVariables, variableOf } from "./environment.ts";
import { isField, pathsOf, type Field, type Section, type ValuesOf } from "./kind.ts";
import { Place, show } from "./place.ts";
import { Problems } from "./problems.ts";
import { didYouMean } from "./suggest.ts";

/** A command-line flag that was given. */
export interface Flag {
  /** The key it sets: `log.level`. */
  readonly path: string;
  /** What the user typed, for messages: `--log-level`. */
  readonly name: string;
  readonly value: string | readonly string[];
  /** Whether its entries are added to the list that file and environment give, instead of replacing it. */
  readonly adds?: boolean;
}

/** Where a configuration comes from. Flags win over the environment, the environment over the file. */
export interface Sources {
  /** The configuration file, YAML or JSON. Relative paths in it start at its folder. */
  readonly file: string;
  /** The environment; variables that do not begin with `CULVERT_` are not looked at. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly flags?: readonly Flag[];
}

/** The values of a configuration, and the same as a file would say them. */
export interface Loaded<S extends Section> {
  readonly values: ValuesOf<S>;
  /** Complete, in the file's words, secrets redacted. */
  readonly effective: Readonly<Record<string, unknown>>;
  /** The file, absolute. */
  readonly file: string;
}

/** The values that are sound by themselves; the others are undefined and have been complained about. */
export type SoundValues<S> = {
  readonly [K in keyof S]: S[K] extends Field<infer T> ? T | undefined : SoundValues<S[K]>;
};

/**
 * Reads file, environment and flags by a schema. `check` then notes what does not fit together; it gets a place at the root.
 * @throws ConfigError `unreadable_file`, or `bad_config` with every problem there is.
 */
export function load<S extends Section>(
  role: string,
  schema: S,
  sources: Sources,
  check: (values: SoundValues<S>, root: Place, problems: Problems) => void,
): Loaded<S> {
  const file = resolve(sources.file);
  const problems = new Problems();
  const root = new Place("", dirname(file), problems);
  const written = readConfigFile(file);
  const other = otherRoles.find((name) => name === written["role"] && name !== role);
  if (other !== undefined) {
    throw new ConfigError(
      "bad_config",
      `${file} is the configuration of a ${other}, not of a ${role}; it is for culvert ${other}`,
      { data: { file, role: other } },
    );
  }
  const tree = boxed(written, schema, root, [...pathsOf(schema)]);
  const env = ourVariables(sources.env ?? {}, problems);
  const flags = new Map((sources.flags ?? []).map((flag) => [flag.path, flag]));
  const read = new Map<string, unknown>();

  const take = (path: string, field: Field<unknown>, raw: unknown): void => {
    const flag = flags.get(path);
    const variable = variableOf(path);
    const name =
      flag !== undefined && flag.adds !== true ? flag.name : variable in env ? variable : path;
    const at = (source: string): Place => new Place(source, root.folder, problems);
    const value = at(name).attempt((place) => readField(field, unboxed(raw), place));
    const added =
      flag?.adds === true
        ? at(flag.name).attempt((place) => field.kind.parse(flag.value, place))
        : undefined;
    read.set(
      path,
      Array.isArray(added) ? [...((value ?? []) as unknown[]), ...(added as unknown[])] : value,
    );
  };
  const config = convict(convictSchema(schema, "", take), { env, args: [] });
  config.load(tree);
  for (const flag of flags.values()) {
    if (flag.adds !== true) config.set(flag.path, [flag.value]);
  }
  config.validate({ allowed: "strict" });

  const values = assemble(schema, "", (path) => read.get(path));
  check(values as SoundValues<S>, root, problems);
  problems.throwIfAny(file);
  const effective = assemble(schema, "", (path, field) => field.kind.print(read.get(path)));
  return { values: values as ValuesOf<S>, effective, file };
}

function readField(field: Field<unknown>, raw: unknown, place: Place): unknown {
  // A key without a value means the same as no key.
  const given = raw ?? field.default;
  if (given !== undefined) return field.kind.parse(given, place);
  return field.required ? place.reject(`is required: ${field.kind.expected}`) : undefined;
}

/**
 * The part of a file's tree that the schema knows, each value in a list of its own: convict takes lists as they are, while it would
 * descend into mappings and read dots in their keys as paths.
 */
function boxed(
  tree: Readonly<Record<string, unknown>>,
  schema: Section,
  place: Place,
  known: readonly string[],
): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(tree)) {
    const entry = Object.hasOwn(schema, key) ? schema[key] : undefined;
    const at = place.key(key);
    if (entry === undefined) {
      const here = Object.keys(schema);
      at.note(
        `unknown key${didYouMean(key, [...here, ...known.filter((path) => path.endsWith(`.${key}`))])}`,
      );
    } else if (isField(entry)) {
      result[key] = [value];
    } else if (isMapping(value)) {
      result[key] = boxed(value, entry, at, known);
    } else if (value !== null) {
      at.note(`expected a mapping with ${Object.keys(entry).join(", ")}, found ${show(value)}`);
    }
  }
  return result;
}

function unboxed(raw: unknown): unknown {
  if (!Array.isArray(raw)) return raw;
  const [value] = raw as readonly unknown[];
  return value;
}

function convictSchema(
  schema: Section,
  prefix: string,
  use: (path: string, field: Field<unknown>, raw: unknown) => void,
): convict.Schema<Record<string, unknown>> {
  const result: convict.Schema<Record<string, unknown>> = {};
  for (const [key, entry] of Object.entries(schema)) {
    const path = prefix + key;
    result[key] = isField(entry)
      ? {
          doc: entry.doc,
          default: entry.default ?? null,
          env: variableOf(path),
          format: (raw: unknown) => use(path, entry, raw),
        }
      : convictSchema(entry, `${path}.`, use);
  }
  return result;
}

function ourVariables(
  env: Readonly<Record<string, string | undefined>>,
  problems: Problems,
): Record<string, string> {
  const known = knownVariables();
  const ours: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    // An empty variable is an unset one: compose files and unit files make such.
    if (!name.startsWith("CULVERT_") || value === undefined || value === "") continue;
    if (known.has(name)) ours[name] = value;
    else problems.add(name, `unknown variable${didYouMean(name, [...known])}`);
  }
  return ours;
}

function assemble(
  schema: Section,
  prefix: string,
  valueOf: (path: string, field: Field<unknown>) => unknown,
): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (const [key, entry] of Object.entries(schema)) {
    const path = prefix + key;
    const value = isField(entry) ? valueOf(path, entry) : assemble(entry, `${path}.`, valueOf);
    if (value !== undefined) result[key] = value;
  }
  return Object.freeze(result);
}

const otherRoles = ["relay", "server", "client"];
