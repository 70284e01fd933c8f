import { clientSchema } from "./client-schema.ts";
import { pathsOf } from "./kind.ts";
import { relaySchema } from "./relay-schema.ts";
import { serverSchema } from "./server-schema.ts";

/** The environment variable of a key: `quic.streamWindow` -> `CULVERT_QUIC_STREAM_WINDOW`. */
export function variableOf(path: string): string {
  const words = path.replaceAll(".", "_").replaceAll(/([a-z])([A-Z])/g, "$1_$2");
  return `CULVERT_${words.toUpperCase()}`;
}

/**
 * Every variable that some daemon or the command knows. One environment may serve several daemons, so a variable of another daemon
 * is no error, while one that nobody knows is.
 */
export function knownVariables(): ReadonlySet<string> {
  const schemas = [relaySchema("x"), serverSchema("x"), clientSchema("x")];
  const ofKeys = schemas.flatMap((schema) => [...pathsOf(schema)].map(variableOf));
  return new Set(["CULVERT_CONFIG", ...ofKeys]);
}
