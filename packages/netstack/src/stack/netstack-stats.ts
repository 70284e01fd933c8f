import type { IcmpCounters } from "../icmp/icmp-responder.ts";
import { packetFaults, type PacketFault } from "../packet/index.ts";
import type { UdpCounters } from "../udp/udp-ports.ts";

/** Why a packet was dropped. */
export type DropReason =
  | PacketFault
  | "foreign_address"
  | "unknown_protocol"
  | "bad_source"
  | "backlog_full"
  | "too_many_connections"
  | "unread_full"
  | "unclaimed"
  | "queue_full"
  | "closed";

/** All of {@link DropReason}, for counters. */
export const dropReasons = [
  ...packetFaults,
  "foreign_address",
  "unknown_protocol",
  "bad_source",
  "backlog_full",
  "too_many_connections",
  "unread_full",
  "unclaimed",
  "queue_full",
  "closed",
] as const satisfies readonly DropReason[];

/** Counters of a stack's TCP; each only grows. */
export interface TcpCounters {
  /** Connections that we opened, and that were established. */
  connected: number;
  /** Connections that peers opened, and that were handed to an acceptor. */
  accepted: number;
  /** RSTs sent for segments that belong to nothing. */
  resetsSent: number;
}

/** What a stack has done and holds. */
export interface NetstackStats {
  readonly receivedPackets: number;
  readonly receivedBytes: number;
  readonly sentPackets: number;
  readonly sentBytes: number;
  readonly drops: Readonly<Record<DropReason, number>>;
  readonly tcp: Readonly<TcpCounters> & {
    /** Now, of all states. */
    readonly connections: number;
    readonly halfOpen: number;
    readonly timeWait: number;
    readonly listeners: number;
    /** Bytes kept for readers, now. */
    readonly unreadBytes: number;
    /** Segments dropped since the stack kept too many of them; only grows. */
    readonly unreadRefused: number;
  };
  readonly udp: Readonly<UdpCounters> & { readonly sockets: number };
  readonly icmp: Readonly<IcmpCounters>;
}

/** A zero for each reason. */
export function noDrops(): Record<DropReason, number> {
  return Object.fromEntries(dropReasons.map((reason) => [reason, 0])) as Record<DropReason, number>;
}
