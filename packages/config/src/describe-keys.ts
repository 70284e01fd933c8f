import { clientSchema } from "./client-schema.ts";
import type { Role } from "./common-schema.ts";
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

/** Every key that a daemon's configuration may have. The default of `control.socket` is that of a file `NAME.yaml`. */
export function describeKeys(role: Role): readonly KeyDescription[] {
  const file = "NAME.yaml";
  const schemas = { relay: relaySchema, server: serverSchema, client: clientSchema };
  return [...describe(schemas[role](file), "")];
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
