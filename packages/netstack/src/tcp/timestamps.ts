import type { TcpTimestamps } from "../packet/index.ts";

/** The timestamps of one connection (RFC 7323 §3 to §5). Milliseconds from a random start, so that they tell no uptime. */
export class Timestamps {
  /** Whether both ends sent the option with SYN. */
  agreed = false;
  readonly #offset: number;
  /** TS.Recent, and when it was taken. */
  #recent = 0;
  #recentAtMs = 0;

  constructor(offset: number) {
    this.#offset = offset;
  }

  /** What the next segment carries. */
  option(nowMs: number): TcpTimestamps {
    return { value: this.#value(nowMs), echo: this.#recent };
  }

  /** Whether a segment is older than one already taken, and so a duplicate that was long under way (RFC 7323 §5.3 R1). */
  isOld(value: number, nowMs: number): boolean {
    // After so long an idle time the peer's clock may have wrapped (§5.5).
    return ((value - this.#recent) | 0) < 0 && nowMs - this.#recentAtMs < staleAfterMs;
  }

  /** Takes the value of a segment that begins at or before the last position acknowledged (RFC 7323 §4.3). */
  remember(value: number, nowMs: number): void {
    if (((value - this.#recent) | 0) < 0 && nowMs - this.#recentAtMs < staleAfterMs) return;
    this.#recent = value;
    this.#recentAtMs = nowMs;
  }

  /** Takes the value of the peer's SYN. */
  begin(value: number, nowMs: number): void {
    this.agreed = true;
    this.#recent = value;
    this.#recentAtMs = nowMs;
  }

  /** Whether a SYN's value is later than all of the connection before it (RFC 6191 §2). */
  isLater(value: number): boolean {
    return this.agreed && ((value - this.#recent) | 0) > 0;
  }

  /** The round-trip time that an echo shows; undefined for none, and for one that cannot be ours (RFC 7323 §3.2). */
  rttMs(echo: number, nowMs: number): number | undefined {
    const elapsedMs = (this.#value(nowMs) - echo) | 0;
    return !this.agreed || echo === 0 || elapsedMs < 0 || elapsedMs > mostRttMs
      ? undefined
      : elapsedMs;
  }

  #value(nowMs: number): number {
    return (Math.floor(nowMs) + this.#offset) >>> 0;
  }
}

/** 24 days (RFC 7323 §5.5). */
const staleAfterMs = 24 * 24 * 3_600_000;
const mostRttMs = 600_000;
