import { dirname, sep } from "node:path";
import { clientSchema } from "./client-schema.ts";
import { defaultSocket, type Role } from "./common-schema.ts";
import { variableOf } from "./environment.ts";
import { isField, type Section } from "./kind.ts";
import { relaySchema } from "./relay-schema.ts";
import { serverSchema } from "./server-schema.ts";

/** One key of a daemon's configuration, for references and tests. */
export interface KeyDescription {
  readonly path: string;
  /** The environment variable that sets it. */
  readonly variable: string;
  readonly doc: string;
  readonly expected: string;
  readonly default: string | undefined;
  readonly required: boolean;
}

/** Every key that a daemon's configuration may have; the default of `control.socket` is told for a file `NAME.yaml`. */
export function describeKeys(role: Role): readonly KeyDescription[] {
  const file = "NAME.yaml";
  const folder = dirname(defaultSocket(file));
  const schemas = { relay: relaySchema, server: serverSchema, client: clientSchema };
  return [...describe(schemas[role](file), "")].map((key) => ({
    ...key,
    // Wherever this runs: the file's own folder is what counts.
    default: key.default?.replace(`${folder}${sep}`, ""),
  }));
}

function* describe(schema: Section, prefix: string): Generator<KeyDescription> {
  for (const [key, entry] of Object.entries(schema)) {
    const path = prefix + key;
    if (isField(entry)) {
      yield {
        path,
        variable: variableOf(path),
        doc: entry.doc,
        expected: entry.kind.expected,
        default: entry.default,
        required: entry.required,
      };
    } else yield* describe(entry, `${path}.`);
  }
}
