import { isDeepStrictEqual } from "node:util";
import { InternalError } from "@culvert/runtime";
import type { NorouterRoute } from "@culvert/wire";
import { globMatches } from "./hostname-glob.ts";
import { networkHas, parseIpv4, parseNetwork, type Ipv4Network } from "./ipv4.ts";
import { isSpecialAddress } from "./special-address.ts";

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
 * Why an address is not learned: no name is routed to that host, or the address is that of a host, or a network of the manifest leads it
 * elsewhere, or it is one that every machine has of its own ({@link isSpecialAddress}) and no network of the manifest leads it there.
 */
export type LearnRefusal = "unknown_via" | "routed_elsewhere" | "special_address";

/**
 * Tells which host a packet or a name goes to: the host of that very address, else what was learned, else the last route that
 * contains it (NOROUTER.md §5). Addresses are numbers, as {@link parseIpv4} makes them.
 */
export class Router {
  readonly #hosts: ReadonlySet<number>;
  /** The last declared first. */
  readonly #networks: readonly (Ranked & { readonly network: Ipv4Network })[];
  readonly #globs: readonly (Ranked & { readonly glob: string })[];
  readonly #maxLearned: number;
  /** The least recently used first. */
  readonly #learned = new Map<number, number>();

  /** @throws InternalError where an address or a network is none: whoever read them has to have looked. */
  constructor({ hosts, routes, maxLearned = defaultMaxLearned }: RouterOptions) {
    this.#hosts = new Set([...hosts].map(addressOf));
    const latestFirst = routes
      .map((route, rank) => ({ ...route, via: addressOf(route.via), rank }))
      .reverse();
    this.#networks = latestFirst.flatMap(({ toCidr, via, rank }) =>
      toCidr.map((text) => ({ network: networkOf(text), via, rank })).reverse(),
    );
    this.#globs = latestFirst.flatMap(({ toHostnameGlob, via, rank }) =>
      toHostnameGlob.map((glob) => ({ glob, via, rank })).reverse(),
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

  /** Whether an address is that of a host. */
  isHost(address: number): boolean {
    return this.#hosts.has(address);
  }

  /** The address of the host that knows a name, by the last glob that it fits; undefined where there is none. */
  routeName(name: string): number | undefined {
    return this.#globs.find(({ glob }) => globMatches(glob, name))?.via;
  }

  /**
   * Remembers that a name led to an address behind a host. The least recently used is forgotten beyond the bound. Returns why not, where
   * it does not: what the manifest says of an address counts more than what a name led to.
   */
  learn(address: number, via: number): LearnRefusal | undefined {
    const refusal = this.learnRefusal(address, via);
    if (refusal !== undefined) return refusal;
    this.#learned.delete(address);
    this.#learned.set(address, via);
    for (const oldest of this.#learned.keys()) {
      if (this.#learned.size <= this.#maxLearned) break;
      this.#learned.delete(oldest);
    }
    return undefined;
  }

  /** Why {@link learn} would not learn this; undefined where it would. */
  learnRefusal(address: number, via: number): LearnRefusal | undefined {
    // The last of several is the first of the list.
    const names = this.#globs.find((entry) => entry.via === via);
    if (names === undefined) return "unknown_via";
    if (this.#hosts.has(address)) return "routed_elsewhere";
    // A network behind a host that there is not leads nowhere.
    const claim = this.#networks.find(
      (entry) => this.#hosts.has(entry.via) && networkHas(entry.network, address),
    );
    if (claim?.via === via) return undefined;
    // All addresses there are, declared before the names, are the one network that says less than a name does.
    const isForTheRest = claim?.network.prefix === 0 && claim.rank < names.rank;
    if (claim !== undefined && !isForTheRest) return "routed_elsewhere";
    return isSpecialAddress(address) ? "special_address" : undefined;
  }

  /** Takes over what another router has learned, the least recently used first, as far as the same names are routed the same way here. */
  learnFrom(other: Router): void {
    for (const [address, via] of other.#learned) {
      if (isDeepStrictEqual(this.#globsOf(via), other.#globsOf(via))) this.learn(address, via);
    }
  }

  /** Addresses learned and not yet forgotten. */
  get learnedCount(): number {
    return this.#learned.size;
  }

  #globsOf(via: number): readonly string[] {
    return this.#globs.filter((entry) => entry.via === via).map(({ glob }) => glob);
  }
}

interface Ranked {
  readonly via: number;
  /** The place of its route in the manifest. */
  readonly rank: number;
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
