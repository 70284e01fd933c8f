import type { Router } from "../router/router.ts";

/** Why a packet was not forwarded. */
export type DropReason =
  /** Shorter than an IPv4 header, or another version of IP. */
  | "malformed"
  /** Its source is neither the sender's address nor one that is routed through the sender. */
  | "foreign_source"
  /** No host has its destination, and no route contains it. */
  | "no_route"
  /** The agent that it goes to is not running. */
  | "agent_down"
  /** The agent that it goes to takes less than it is sent. */
  | "queue_full";

/** Every {@link DropReason}. */
export const dropReasons: readonly DropReason[] = [
  "malformed",
  "foreign_source",
  "no_route",
  "agent_down",
  "queue_full",
];

/** Where packets to a host are put. */
export interface SwitchPort {
  /** Takes a packet at once, or tells why it cannot. The packet is valid during the call. */
  deliver(packet: Uint8Array, reserved: number): DropReason | undefined;
}

/** What one host has sent to another. */
export interface PairCount {
  readonly from: number;
  readonly to: number;
  packets: number;
  bytes: number;
}

/** Forwards packets between hosts by their destination (NOROUTER.md §5) and counts them. Does no I/O of its own. */
export class PacketSwitch {
  #router: Router;
  readonly #ports = new Map<number, SwitchPort>();
  /** By sender, then by receiver; bounded by the square of the hosts there ever were. */
  readonly #pairs = new Map<number, Map<number, PairCount>>();
  readonly #drops = new Map<DropReason, number>(dropReasons.map((reason) => [reason, 0]));

  constructor(router: Router) {
    this.#router = router;
  }

  /** Routes from now on as `router` says; what was learned so far stays known. */
  replaceRouter(router: Router): void {
    router.learnFrom(this.#router);
    this.#router = router;
  }

  /** Puts packets to this address into `port`. */
  attach(vip: number, port: SwitchPort): void {
    this.#ports.set(vip, port);
  }

  /** Forgets a host; what it has sent and received stays counted. */
  detach(vip: number): void {
    this.#ports.delete(vip);
  }

  /** Remembers a route that an agent suggests, where the manifest routes names to `via`. Returns whether it does. */
  learn(address: number, via: number): boolean {
    if (!this.#router.resolvesNames(via)) return false;
    this.#router.learn(address, via);
    return true;
  }

  /** Forwards a packet that came from the host `from`. Returns why it was dropped, or undefined where it was not. */
  forward(from: number, packet: Uint8Array, reserved: number): DropReason | undefined {
    const reason = this.#forward(from, packet, reserved);
    if (reason !== undefined) this.#drops.set(reason, (this.#drops.get(reason) ?? 0) + 1);
    return reason;
  }

  /** What every host has sent to every other. */
  get pairs(): readonly Readonly<PairCount>[] {
    return [...this.#pairs.values()].flatMap((receivers) => [...receivers.values()]);
  }

  /** Packets dropped so far, by reason. */
  get drops(): ReadonlyMap<DropReason, number> {
    return this.#drops;
  }

  /** Addresses that are routed by what agents have suggested. */
  get learnedCount(): number {
    return this.#router.learnedCount;
  }

  #forward(from: number, packet: Uint8Array, reserved: number): DropReason | undefined {
    if (packet.length < minHeaderBytes || (packet[0] ?? 0) >> 4 !== 4) return "malformed";
    const source = addressAt(packet, sourceOffset);
    // The answers of machines behind a host come from their own addresses.
    if (source !== from && this.#router.route(source) !== from) return "foreign_source";
    const to = this.#router.route(addressAt(packet, destinationOffset));
    const port = this.#ports.get(to);
    if (port === undefined) return "no_route";
    const reason = port.deliver(packet, reserved);
    if (reason === undefined) this.#count(from, to, packet.length);
    return reason;
  }

  #count(from: number, to: number, bytes: number): void {
    let receivers = this.#pairs.get(from);
    if (receivers === undefined) this.#pairs.set(from, (receivers = new Map<number, PairCount>()));
    let pair = receivers.get(to);
    if (pair === undefined) receivers.set(to, (pair = { from, to, packets: 0, bytes: 0 }));
    pair.packets += 1;
    pair.bytes += bytes;
  }
}

/** The address in four bytes of a packet. */
export function addressAt(packet: Uint8Array, offset: number): number {
  const byte = (index: number): number => packet[offset + index] ?? 0;
  return ((byte(0) << 24) | (byte(1) << 16) | (byte(2) << 8) | byte(3)) >>> 0;
}

const minHeaderBytes = 20;
/** Where the source address of a packet is. */
export const sourceOffset = 12;
/** Where the destination address of a packet is. */
export const destinationOffset = 16;
