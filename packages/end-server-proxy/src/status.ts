import type { Millis } from "@culvert/runtime";
import { linkStatus, type LinkState, type LinkStatus } from "@culvert/transport";
import type { Exit } from "./exits/exit.ts";
import type { ExposeRule } from "./public/expose-rule.ts";
import { exposeStatuses, type ExposeStatus } from "./public/expose-status.ts";
import type { LiveConnection } from "./connection-ledger.ts";

/** What `culvert status` shows of an end server; plain JSON. */
export interface EndServerStatus {
  readonly role: "server";
  readonly link: LinkStatus;
  /** Services by name and allowed targets, as they print. */
  readonly allows: readonly string[];
  /** What the internet may reach, where the relay grants it. */
  readonly exposes: readonly ExposeStatus[];
  readonly connections: readonly EndServerConnectionStatus[];
}

/** One forwarded connection with the end server's three identifiers. */
export interface EndServerConnectionStatus {
  readonly trace: string;
  readonly client: string;
  readonly clientId: string;
  readonly clientPort: number;
  readonly target: string;
  readonly bytesUp: number;
  readonly bytesDown: number;
  readonly ageMs: number;
}

/** Takes the picture. */
export function endServerStatus(parts: {
  readonly now: Millis;
  readonly link: LinkState;
  readonly exit: Exit;
  readonly connections: Iterable<LiveConnection>;
  readonly exposes: readonly ExposeRule[];
}): EndServerStatus {
  return {
    role: "server",
    link: linkStatus(parts.link, parts.now),
    allows: parts.exit.describe(),
    exposes: exposeStatuses(
      parts.exposes,
      parts.link.kind === "attached" ? parts.link.answer : undefined,
    ),
    connections: [...parts.connections].map((connection) => ({
      trace: connection.trace,
      client: connection.client,
      clientId: connection.clientId,
      clientPort: connection.clientPort,
      target: connection.target,
      bytesUp: connection.progress.leftToRightBytes,
      bytesDown: connection.progress.rightToLeftBytes,
      ageMs: Math.round(parts.now - connection.openedAt),
    })),
  };
}
