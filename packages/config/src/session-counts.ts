import type { DaemonConfig } from "./load-config.ts";

/** How many of something there may be, and why. */
export interface Bound {
  readonly count: number;
  readonly because: string;
}

/** What a daemon may come to hold at a time. */
export interface SessionCounts {
  readonly sessions: Bound;
  /** Forwarded connections. */
  readonly connections: Bound;
  /** Streams of sessions for these; a relay has two for each. */
  readonly streams: Bound;
}

/** Counts what the limits of a configuration allow. */
export function sessionCounts(config: DaemonConfig): SessionCounts {
  if (config.role !== "relay") {
    const { connections } = config.limits;
    const because = `${connections} (limits.connections)`;
    const bound = { count: connections, because };
    return { sessions: ofDialler(config), connections: bound, streams: bound };
  }
  const connections = connectionsOfRelay(config);
  return {
    sessions: ofRelay(config),
    connections,
    streams: { count: 2 * connections.count, because: `2 hops x ${connections.because}` },
  };
}

/** The session there is, and those that a move left behind; a Telebit relay has one as well. */
function ofDialler(config: DaemonConfig & { readonly role: "server" | "client" }): Bound {
  const left = config.transports.length > 1 ? mostLeaving : 0;
  const standing = config.transports.length > 0 ? 1 : 0;
  const telebit = config.role === "server" && config.telebit !== undefined ? 1 : 0;
  const count = standing + left + telebit;
  const parts = left === 0 ? "" : `, ${left} of them left behind by moves`;
  return { count, because: `${plural(count, "session")}${parts}` };
}

/** A relay keeps one session per known peer, those that moves left behind, and one-shot ones, which either role may have. */
function ofRelay({ peers, limits, listen, web }: DaemonConfig & { readonly role: "relay" }): Bound {
  const transient = peers.length * limits.transientSessionsPerPeer;
  const hasBoth = listen.length > 0 && [...web.https, ...web.plain].length > 0;
  // The standing session of a peer moves, and so do its one-shot ones, of which no more may be left behind together.
  const kinds = limits.transientSessionsPerPeer > 0 ? 2 : 1;
  const left = hasBoth ? peers.length * kinds * mostLeaving : 0;
  const known = peers.length + left + transient;
  const parts = left === 0 ? "" : `, ${left} of them left behind by moves`;
  if (known <= limits.sessions) {
    const because = `${plural(known, "session")} of ${plural(peers.length, "peer")}${parts}`;
    return { count: known, because };
  }
  return { count: limits.sessions, because: `${limits.sessions} (limits.sessions)` };
}

function connectionsOfRelay({ peers, limits }: DaemonConfig & { readonly role: "relay" }): Bound {
  const clients = peers.filter(({ role }) => role === "client").length;
  const { connectionsPerClient } = limits;
  return {
    count: clients * connectionsPerClient,
    because: `${plural(clients, "client")} x ${connectionsPerClient} (limits.connectionsPerClient)`,
  };
}

function plural(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}

/** Sessions of one identity that may live on after moves (PROTOCOL.md, Attach). */
const mostLeaving = 2;
