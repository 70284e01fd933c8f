import { millis, type Millis } from "@culvert/runtime";
import type { PeerId } from "@culvert/identity";
import type { PublicGrantList } from "./public-offers/public-grants.ts";

/** What a peer may be on this relay. */
export type PeerRole = "client" | "server";

/** A peer the relay knows, by the name people use. */
export interface KnownPeer {
  readonly name: string;
  readonly id: PeerId;
  readonly role: PeerRole;
}

/**
 * Allows a client to reach services of a server. `client` and `server` are names or `*`. A service is a service name, a port, a
 * port range `8000-8100`, an exact `host:port`, or `*` for all.
 */
export interface Grant {
  readonly client: string;
  readonly server: string;
  readonly services: readonly string[];
}

/** Bounds of a relay; each is named in the answer, metric or log of what it refuses. */
export interface RelayLimits {
  /** Sessions in all. */
  readonly sessions: number;
  /** One-shot sessions of one client beside its standing one. */
  readonly transientSessionsPerPeer: number;
  /** Forwarded connections of one client, those not yet answered included. */
  readonly connectionsPerClient: number;
  /** Forwarded connections to one server. */
  readonly connectionsPerServer: number;
  /** How long a peer may take to send a tip. */
  readonly tipDeadline: Millis;
  /** How long a server may take to answer an offer. */
  readonly connectTimeout: Millis;
}

/** Defaults of {@link RelayLimits}. */
export const relayLimitDefaults: RelayLimits = {
  sessions: 10_000,
  transientSessionsPerPeer: 16,
  // Below the stream limit of a session by quiche or WebSocket, so that the refusal can still be told. quinn carries 4,096 streams.
  connectionsPerClient: 12_000,
  connectionsPerServer: 12_000,
  tipDeadline: millis(5_000),
  // Above the server's own time-out for dialling its target, so that its better answer arrives first.
  connectTimeout: millis(15_000),
};

/** What a relay knows and allows. */
export interface RelayOptions {
  readonly peers: readonly KnownPeer[];
  readonly grants: readonly Grant[];
  readonly limits: RelayLimits;
  /** Public names and ports that servers may have; default none. */
  readonly public?: PublicGrantList;
  /** How long connections may go on after a drain has begun. */
  readonly drainTimeout: Millis;
  /** Name and version told to peers. */
  readonly software: string;
}
