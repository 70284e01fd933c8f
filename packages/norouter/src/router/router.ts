import { InternalError } from "@culvert/runtime";
import type { NorouterRoute } from "@culvert/wire";
import { globMatches } from "./hostname-glob.ts";
import { networkHas, parseIpv4, parseNetwork, type Ipv4Network } from "./ipv4.ts";

/** What a {@link Router} knows from the start. */
export interface RouterOptions {
  /** Virtual addresses of all hosts, dotted. */
  readonly hosts: Iterable<string>;
  /** Later ones win. */
  readonly routes: readonly NorouterRoute[];
  /** Addresses that {@link Router.learn} keeps; 512 unless given, as NoRouter does. */
  readonly maxLearned?: number | undefined;
}

/**
 * Tells which host a packet or a name goes to: the host of that very address, else what was learned, else the last route that
 * contains it (NOROUTER.md §5). Addresses are numbers, as {@link parseIpv4} makes them.
 */
export class Router {
  readonly #hosts: ReadonlySet<number>;
  /** The last declared first. */
  readonly #networks: readonly { readonly network: Ipv4Network; readonly via: number }[];
  readonly #globs: readonly { readonly glob: string; readonly via: number }[];
  readonly #maxLearned: number;
  /** The least recently used first. */
  readonly #learned = new Map<number, number>();

  /** @throws InternalError where an address or a network is none: whoever read them has to have looked. */
  constructor({ hosts, routes, maxLearned = defaultMaxLearned }: RouterOptions) {
    this.#hosts = new Set([...hosts].map(addressOf));
    const latestFirst = routes
      .map(({ toCidr, toHostnameGlob, via }) => ({ toCidr, toHostnameGlob, via: addressOf(via) }))
      .reverse();
    this.#networks = latestFirst.flatMap(({ toCidr, via }) =>
      toCidr.map((text) => ({ network: networkOf(text), via })).reverse(),
    );
    this.#globs = latestFirst.flatMap(({ toHostnameGlob, via }) =>
      toHostnameGlob.map((glob) => ({ glob, via })).reverse(),
    );
    this.#maxLearned = maxLearned;
  }

  /** The address of the host that a packet to `destination` goes to; `destination` itself where nothing is known of it. */
  route(destination: number): number {
    if (this.#hosts.has(destination)) return destination;
    const learned = this.#learned.get(destination);
    if (learned !== undefined) {
      this.#learned.delete(destination);
      this.#learned.set(destination, learned);
      return learned;
    }
    const route = this.#networks.find(({ network }) => networkHas(network, destination));
    return route?.via ?? destination;
  }

  /** The address of the host that knows a name, by the last glob that it fits; undefined where there is none. */
  routeName(name: string): number | undefined {
    return this.#globs.find(({ glob }) => globMatches(glob, name))?.via;
  }

  /** Whether names are ever routed to the host with this address: only then there is something to learn of it. */
  resolvesNames(via: number): boolean {
    return this.#globs.some((entry) => entry.via === via);
  }

  /** Remembers that an address is reached through a host. The least recently used is forgotten beyond the bound. */
  learn(address: number, via: number): void {
    this.#learned.delete(address);
    this.#learned.set(address, via);
    for (const oldest of this.#learned.keys()) {
      if (this.#learned.size <= this.#maxLearned) return;
      this.#learned.delete(oldest);
    }
  }

  /** Takes over what another router has learned, the least recently used first. */
  learnFrom(other: Router): void {
    for (const [address, via] of other.#learned) this.learn(address, via);
  }

  /** Addresses learned and not yet forgotten. */
  get learnedCount(): number {
    return this.#learned.size;
  }
}

function addressOf(text: string): number {
  const address = parseIpv4(text);
  if (address === undefined) throw new InternalError("invariant", `${text} is no IPv4 address`);
  return address;
}

function networkOf(text: string): Ipv4Network {
  const network = parseNetwork(text);
  if (network === undefined) throw new InternalError("invariant", `${text} is no IPv4 network`);
  return network;
}

const defaultMaxLearned = 512;
