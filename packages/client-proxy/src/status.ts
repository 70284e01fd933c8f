import type { Millis } from "@culvert/runtime";
import { linkStatus, type LinkState, type LinkStatus } from "@culvert/transport";
import type { Entrance, EntranceStatus } from "./entrances/entrance.ts";
import type { LiveConnection } from "./session-connector.ts";

/** What `culvert status` shows of a client; plain JSON. */
export interface ClientStatus {
  readonly role: "client";
  readonly link: LinkStatus;
  readonly entrances: readonly EntranceStatus[];
  readonly connections: readonly ClientConnectionStatus[];
}

/** One forwarded connection with the client's three identifiers. */
export interface ClientConnectionStatus {
  readonly trace: string;
  readonly entrance: string;
  readonly clientPort: number;
  readonly server: string;
  readonly target: string;
  readonly bytesUp: number;
  readonly bytesDown: number;
  readonly ageMs: number;
}

/** Takes the picture. */
export function clientStatus(parts: {
  readonly now: Millis;
  readonly link: LinkState;
  readonly entrances: readonly Entrance[];
  readonly connections: Iterable<LiveConnection>;
}): ClientStatus {
  return {
    role: "client",
    link: linkStatus(parts.link, parts.now),
    entrances: parts.entrances.map((entrance) => entrance.describe()),
    connections: [...parts.connections].map((connection) => ({
      trace: connection.trace,
      entrance: connection.entrance,
      clientPort: connection.clientPort,
      server: connection.server,
      target: connection.target,
      bytesUp: connection.progress.leftToRightBytes,
      bytesDown: connection.progress.rightToLeftBytes,
      ageMs: Math.round(parts.now - connection.openedAt),
    })),
  };
}
