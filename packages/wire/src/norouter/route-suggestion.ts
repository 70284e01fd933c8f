import type { GoJsonValue } from "./go-json.ts";
import { JsonObject, addressOf } from "./json-reader.ts";
import type { NorouterEvent } from "./message.ts";

/** What an agent learned from a name: these addresses are reached through the host with the virtual address `route`. */
export interface RouteSuggestion {
  readonly ip: readonly string[];
  readonly route: string;
}

/** The only type of event there is. */
export const routeSuggestionType = "routeSuggestion";

/** The event by which an agent tells a route it learned. */
export function routeSuggestionEvent({ ip, route }: RouteSuggestion): NorouterEvent {
  const data: GoJsonValue = {
    ip: ip.length === 0 ? undefined : ip,
    route: route === "" ? undefined : route,
  };
  return { kind: "event", type: routeSuggestionType, data };
}

/**
 * Reads the data of a route suggestion; agents up to 0.6.3 write `Route`.
 * @throws WireError `malformed_message` naming the member.
 */
export function parseRouteSuggestion(value: unknown): RouteSuggestion {
  const data = new JsonObject(value ?? null, "data");
  return { ip: data.list("ip", "", addressOf), route: data.address("route") };
}
