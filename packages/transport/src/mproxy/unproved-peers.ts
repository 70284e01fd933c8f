import { canonicalIpv6 } from "@culvert/wire";

/** How many peers may be in their handshake at a time. */
export interface UnprovedLimits {
  /** Peers in their handshake, in all. */
  readonly inAll: number;
  /** The same from one address; an IPv6 address counts by its /64. */
  readonly perAddress: number;
}

/** Counts the peers that have not proved who they are, so that strangers cost little and one address does not crowd out the others. */
export class UnprovedPeers {
  readonly #limits: UnprovedLimits;
  readonly #byAddress = new Map<string, number>();
  #inAll = 0;

  constructor(limits: UnprovedLimits) {
    this.#limits = limits;
  }

  /** How many there are now. */
  get count(): number {
    return this.#inAll;
  }

  /**
   * Lets one in and gives the function that lets it out, once; undefined where a limit is reached. Peers behind a proxy share its
   * address and give none.
   */
  enter(address: string | undefined): (() => void) | undefined {
    const key = address === undefined ? undefined : network(address);
    const ofKey = key === undefined ? 0 : (this.#byAddress.get(key) ?? 0);
    if (this.#inAll >= this.#limits.inAll || ofKey >= this.#limits.perAddress) return undefined;
    this.#inAll += 1;
    if (key !== undefined) this.#byAddress.set(key, ofKey + 1);
    let inside = true;
    return () => {
      if (!inside) return;
      inside = false;
      this.#inAll -= 1;
      if (key !== undefined) this.#leave(key);
    };
  }

  #leave(key: string): void {
    const left = (this.#byAddress.get(key) ?? 1) - 1;
    if (left === 0) this.#byAddress.delete(key);
    else this.#byAddress.set(key, left);
  }
}

/** Whoever has one IPv6 address has its whole /64. */
function network(address: string): string {
  const ipv6 = canonicalIpv6(address.replace(/%.*$/, ""));
  if (ipv6 === undefined) return address;
  const mapped = /^::ffff:([\d.]+)$/.exec(ipv6)?.[1];
  if (mapped !== undefined) return mapped;
  const [head = "", tail] = ipv6.split("::");
  const before = head === "" ? [] : head.split(":");
  const after = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = Array<string>(8 - before.length - after.length).fill("0");
  return [...before, ...zeros, ...after].slice(0, 4).join(":");
}
