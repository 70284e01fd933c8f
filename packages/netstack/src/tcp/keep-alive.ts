/** When a silent peer is asked whether it is still there (RFC 9293 §3.8.4, RFC 1122 §4.2.3.6). Off at 0. */
export class KeepAlive {
  #idleMs: number;
  #probes = 0;
  #dueMs = Infinity;

  constructor(idleMs: number) {
    this.#idleMs = idleMs;
  }

  /** When {@link probe} is to be called; Infinity for never. */
  get dueMs(): number {
    return this.#dueMs;
  }

  /** Begins anew with another idle time. */
  set(idleMs: number, nowMs: number): void {
    this.#idleMs = idleMs;
    this.heard(nowMs);
  }

  /** The peer has shown that it lives. */
  heard(nowMs: number): void {
    if (this.#idleMs === 0) {
      this.#dueMs = Infinity;
      return;
    }
    this.#probes = 0;
    this.#dueMs = nowMs + this.#idleMs;
  }

  /** It is time to ask once more. Returns false if it was asked in vain too often. */
  probe(nowMs: number): boolean {
    if (this.#probes >= mostProbes) return false;
    this.#probes += 1;
    this.#dueMs = nowMs + Math.min(this.#idleMs, mostIntervalMs);
    return true;
  }
}

/** What Linux takes by default (tcp_keepalive_probes, tcp_keepalive_intvl). */
const mostProbes = 9;
const mostIntervalMs = 75_000;
