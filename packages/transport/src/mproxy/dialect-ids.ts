import type { ConnectionId } from "@culvert/wire";

/** What becomes of a frame of a connection that is not open here. */
export type StrayFate =
  /** The connection is over: to be dropped, since it was under way. */
  | "late"
  /** There was none: the peer is told so. */
  | "refuse"
  /** It opens the connection, as old relays have it. */
  | "open";

/** What a dialect knows of connections that are not open. */
export interface ConnectionIds {
  /** We open a connection. */
  opening(id: ConnectionId): void;
  /** The peer opens a connection. @throws WireError where it may not open this one. */
  opened(id: ConnectionId): void;
  /** A frame came for a connection that is not open. @throws WireError where no peer of this dialect sends such a thing. */
  stray(id: ConnectionId): StrayFate;
  /** The peer has ended or reset a connection that is not open any more. */
  peerEnded(id: ConnectionId): void;
  /** A connection is over here. */
  released(id: ConnectionId, peerEnded: boolean): void;
}
