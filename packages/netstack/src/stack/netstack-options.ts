import type { Clock, Random } from "@culvert/runtime";
import type { TcpSettings } from "../tcp/tcp-settings.ts";

/** What a stack is made of. */
export interface NetstackOptions {
  readonly clock: Clock;
  readonly random: Random;
  /**
   * Takes one whole IPv4 packet, which belongs to the receiver from then on. May call the stack back. It must not wait: what cannot
   * be sent is to be dropped, and TCP sends it again.
   */
  readonly output: (packet: Uint8Array) => void;
  /**
   * Whether what lies below has room for more. While it says no, connections hold back all but a little data each; after it has said
   * no, `Netstack.roomAgain` is to be called when there is room. Absent: there always is.
   */
  readonly hasRoom?: (() => boolean) | undefined;
  /** The stack's own addresses, dotted; the first is the source of what names none. */
  readonly addresses: readonly string[];
  /** Bytes of the largest packet: 65,535 if absent, at least 576. */
  readonly mtu?: number;
  /** Whether packets to own addresses stay inside, without `output`; true if absent. */
  readonly loopOwnAddresses?: boolean;
  readonly limits?: Partial<NetstackLimits>;
  readonly tcp?: Partial<TcpSettings>;
}

/** Bounds of a stack. */
export interface NetstackLimits {
  /** Connections of all states, TIME-WAIT among them. */
  readonly connections: number;
  /** Handshakes that peers began and that are not over, of all listeners together. */
  readonly halfOpen: number;
  /** Connections in TIME-WAIT; the oldest give way. */
  readonly timeWait: number;
  /**
   * Bytes that all connections together keep for readers who do not read. Beyond it peers open no new connections, windows are small, and what
   * exceeds 16 KiB of a connection is dropped.
   */
  readonly unreadBytes: number;
  /** Packets from the stack to itself, or received while it was at work, that wait for their turn. */
  readonly waitingPackets: number;
}

/** What applies where a stack is not told otherwise. */
export const defaultNetstackLimits: NetstackLimits = {
  connections: 16_384,
  halfOpen: 1_024,
  timeWait: 4_096,
  unreadBytes: 256 * 1_024 * 1_024,
  waitingPackets: 4_096,
};
