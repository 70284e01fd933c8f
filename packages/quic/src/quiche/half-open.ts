import { isIPv6 } from "node:net";

/** Bounds on handshakes under way; from the settings of the listener. */
export interface AdmissionLimits {
  readonly maxHalfOpen: number;
  readonly retryAboveHalfOpen: number;
}

/** What to do with a datagram that wants to start a connection. */
export type Admission = "accept" | "retry" | "half_open_limit" | "rate_limit";

interface Source {
  halfOpen: number;
  tokens: number;
  refilledMs: number;
}

/**
 * Decides which handshakes a listener takes on, so that neither one source nor many forged ones can take its memory or its time.
 * Sources are IPv4 addresses and IPv6 /64 networks, since an IPv6 host may choose the rest.
 */
export class HandshakeAdmission {
  readonly #limits: AdmissionLimits;
  /** Least recently seen first. */
  readonly #sources = new Map<string, Source>();
  #halfOpen = 0;

  constructor(limits: AdmissionLimits) {
    this.#limits = limits;
  }

  /** Handshakes under way. */
  get halfOpen(): number {
    return this.#halfOpen;
  }

  /** Decides about a new handshake. `proved` says that the client showed it receives at its address. */
  decide(host: string, proved: boolean, nowMs: number): Admission {
    if (this.#halfOpen >= this.#limits.maxHalfOpen) return "half_open_limit";
    if (!proved && this.#halfOpen > this.#limits.retryAboveHalfOpen) return "retry";
    const source = this.#source(host, nowMs);
    if (source.halfOpen >= this.#sourceLimit()) return "half_open_limit";
    if (source.tokens < 1) return "rate_limit";
    return "accept";
  }

  /** Counts an accepted handshake. */
  started(host: string, nowMs: number): void {
    const source = this.#source(host, nowMs);
    source.tokens -= 1;
    source.halfOpen += 1;
    this.#halfOpen += 1;
  }

  /** Counts the end of a handshake, whether it succeeded or not. */
  ended(host: string, nowMs: number): void {
    this.#source(host, nowMs).halfOpen -= 1;
    this.#halfOpen -= 1;
  }

  /** Where many are under way, no source has more than a sixteenth of all places, so that a few cannot keep the others out. */
  #sourceLimit(): number {
    const { maxHalfOpen, retryAboveHalfOpen } = this.#limits;
    if (this.#halfOpen <= retryAboveHalfOpen) return maxHalfOpenPerSource;
    return Math.min(maxHalfOpenPerSource, Math.max(1, Math.floor(maxHalfOpen / 16)));
  }

  #source(host: string, nowMs: number): Source {
    const key = sourceOf(host);
    const source = this.#sources.get(key) ?? {
      halfOpen: 0,
      tokens: handshakeBurstPerSource,
      refilledMs: nowMs,
    };
    const refill = ((nowMs - source.refilledMs) / 1000) * handshakesPerSecondPerSource;
    source.tokens = Math.min(handshakeBurstPerSource, source.tokens + refill);
    source.refilledMs = nowMs;
    this.#sources.delete(key);
    this.#sources.set(key, source);
    if (this.#sources.size > maxSources + this.#halfOpen) this.#forgetOne();
    return source;
  }

  #forgetOne(): void {
    for (const [key, source] of this.#sources) {
      if (source.halfOpen > 0) continue;
      this.#sources.delete(key);
      return;
    }
  }
}

/** The source an address counts as: itself, or the first 64 bits of an IPv6 address. */
export function sourceOf(host: string): string {
  const [address = host] = host.split("%");
  if (!isIPv6(address)) return address;
  const [head = "", tail] = address.split("::");
  const left = head === "" ? [] : head.split(":");
  const right = tail === undefined || tail === "" ? [] : tail.split(":");
  // A dotted quad at the end stands for two groups.
  const groups = left.length + right.length + (address.includes(".") ? 1 : 0);
  const zeros = tail === undefined ? 0 : 8 - groups;
  const all = [...left, ...Array.from({ length: zeros }, () => "0"), ...right];
  return all.slice(0, 4).join(":");
}

/** Handshakes one source may have under way: a household behind one NAT, or a relay's clients on one machine. */
export const maxHalfOpenPerSource = 256;
/** New handshakes per second from one source; each costs about 2 ms of a core. */
export const handshakesPerSecondPerSource = 100;
/** New handshakes one source may start at once, after a quiet time. */
export const handshakeBurstPerSource = 512;
/** Sources remembered beside those with a handshake under way; about 100 bytes each. */
const maxSources = 4096;
