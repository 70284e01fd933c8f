/**
 * Bounds the acknowledgements that segments without use provoke: two confused ends must not answer each other for ever, and an
 * attacker must not make us talk (RFC 5961 §7). One per connection, so that none learns of another.
 */
export class AckLimit {
  #tokens = burst;
  #filledAtMs = 0;

  /** Whether one more may be sent now. */
  take(nowMs: number): boolean {
    this.#tokens = Math.min(burst, this.#tokens + (nowMs - this.#filledAtMs) / refillMs);
    this.#filledAtMs = nowMs;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}

/** Ten at once and ten a second; RFC 5961 §7 proposes ten in five seconds, which starves keep-alives of some stacks. */
const burst = 10;
const refillMs = 100;
