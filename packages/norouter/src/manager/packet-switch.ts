import { Router, type LearnRefusal, type RouterOptions } from "../router/router.ts";

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

/**
 * Forwards packets between hosts by their destination (NOROUTER.md §5) and counts them. Does no I/O of its own. Every host has a router of
 * its own: what it suggests leads its own packets, and those of nobody else.
 */
export class PacketSwitch {
  #routes: RouterOptions;
  readonly #ports = new Map<number, SwitchPort>();
  /** By host; kept while its agent is away, until it is forgotten. */
  readonly #routers = new Map<number, Router>();
  /** Of those who never suggest anything. */
  #plain: Router;
  /** By sender, then by receiver; bounded by the square of the hosts there ever were. */
  readonly #pairs = new Map<number, Map<number, PairCount>>();
  readonly #drops = new Map<DropReason, number>(dropReasons.map((reason) => [reason, 0]));

  constructor(routes: RouterOptions) {
    this.#routes = routes;
    this.#plain = new Router(routes);
  }

  /** Routes from now on as `routes` say. What was learned stays known as far as nothing is new about the names that led to it. */
  replaceRoutes(routes: RouterOptions): void {
    this.#routes = routes;
    this.#plain = new Router(routes);
    for (const [vip, before] of this.#routers) {
      const router = new Router(routes);
      router.learnFrom(before);
      this.#routers.set(vip, router);
    }
  }

  /** Puts packets to this address into `port`. */
  attach(vip: number, port: SwitchPort): void {
    this.#ports.set(vip, port);
    if (!this.#routers.has(vip)) this.#routers.set(vip, new Router(this.#routes));
  }

  /** Sends nothing to a host any more; what it has sent and received stays counted, and what it has suggested stays known. */
  detach(vip: number): void {
    this.#ports.delete(vip);
  }

  /** Forgets what a host has suggested. */
  forget(vip: number): void {
    if (this.#ports.has(vip)) this.#routers.set(vip, new Router(this.#routes));
    else this.#routers.delete(vip);
  }

  /** Remembers, for the packets of the host `from`, a route that it suggests. Returns why not, where it does not. */
  learn(from: number, address: number, via: number): LearnRefusal | undefined {
    // One that is forgotten already has no say any more.
    const router = this.#routers.get(from);
    return router === undefined ? "unknown_via" : router.learn(address, via);
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

  /** Addresses that are routed by what agents have suggested, each as often as there are agents that did. */
  get learnedCount(): number {
    return [...this.#routers.values()].reduce((sum, { learnedCount }) => sum + learnedCount, 0);
  }

  #forward(from: number, packet: Uint8Array, reserved: number): DropReason | undefined {
    if (packet.length < minHeaderBytes || (packet[0] ?? 0) >> 4 !== 4) return "malformed";
    const source = addressAt(packet, sourceOffset);
    const to = this.#routerOf(from).route(addressAt(packet, destinationOffset));
    // The answers of machines behind a host come from their own addresses, to which the receiver has to have a way.
    if (source !== from && this.#routerOf(to).route(source) !== from) return "foreign_source";
    const port = this.#ports.get(to);
    if (port === undefined) return this.#plain.isHost(to) ? "agent_down" : "no_route";
    const reason = port.deliver(packet, reserved);
    if (reason === undefined) this.#count(from, to, packet.length);
    return reason;
  }

  #routerOf(vip: number): Router {
    return this.#routers.get(vip) ?? this.#plain;
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
