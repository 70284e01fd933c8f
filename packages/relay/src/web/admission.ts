import { canonicalIpv6 } from "@culvert/wire";
import type { WebLimits } from "./web-options.ts";

/** Which bound of the public entrance was reached. */
export type AdmissionLimit =
  "connections" | "connectionsPerAddress" | "handshakes" | "handshakesPerAddress";

/** A connection that was let in; tell it when its purpose is known, and when it is over. Both may be called twice. */
export interface Admitted {
  /** The handshake is over: the connection counts only as open from now on. */
  readonly settled: () => void;
  readonly gone: () => void;
}

/** Lets public connections in, within bounds in all and for each address, so that one address cannot crowd out the others. */
export class Admission {
  readonly #limits: WebLimits;
  readonly #open = new Tally();
  readonly #handshakes = new Tally();

  constructor(limits: WebLimits) {
    this.#limits = limits;
  }

  /** Connections open, those in their handshake included. */
  get connections(): number {
    return this.#open.total;
  }

  /** Connections whose purpose is not known yet. */
  get handshakes(): number {
    return this.#handshakes.total;
  }

  /** Lets a connection in, or names the limit that is in its way. */
  admit(address: string): Admitted | AdmissionLimit {
    const key = addressKey(address);
    const limits = this.#limits;
    if (this.#open.total >= limits.connections) return "connections";
    if (this.#open.of(key) >= limits.connectionsPerAddress) return "connectionsPerAddress";
    if (this.#handshakes.total >= limits.handshakes) return "handshakes";
    if (this.#handshakes.of(key) >= limits.handshakesPerAddress) return "handshakesPerAddress";
    const leaveOpen = this.#open.enter(key);
    const leaveHandshakes = this.#handshakes.enter(key);
    return {
      settled: leaveHandshakes,
      gone: () => {
        leaveHandshakes();
        leaveOpen();
      },
    };
  }
}

/** Counts in all and for each key; a key costs nothing once its count is nought. */
class Tally {
  readonly #byKey = new Map<string, number>();
  total = 0;

  of(key: string): number {
    return this.#byKey.get(key) ?? 0;
  }

  enter(key: string): () => void {
    this.total += 1;
    this.#byKey.set(key, this.of(key) + 1);
    let inside = true;
    return () => {
      if (!inside) return;
      inside = false;
      this.total -= 1;
      const left = this.of(key) - 1;
      if (left === 0) this.#byKey.delete(key);
      else this.#byKey.set(key, left);
    };
  }
}

/** Whoever has one IPv6 address has its whole /64. */
export function addressKey(address: string): string {
  const ipv6 = canonicalIpv6(address.replace(/%.*$/, ""));
  if (ipv6 === undefined) return address;
  if (ipv6.startsWith("::ffff:") && ipv6.includes(".")) return ipv6.slice("::ffff:".length);
  const [head = "", tail] = ipv6.split("::");
  const left = head === "" ? [] : head.split(":");
  const right = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? 0 : 8 - left.length - right.length;
  const groups = [...left, ...Array<string>(zeros).fill("0"), ...right];
  return `${groups.slice(0, 4).join(":")}::/64`;
}
