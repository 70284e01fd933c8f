import type { GuardedConnection } from "./guarded-connection.ts";
import type { SendWindow } from "./send-window.ts";

interface PendingReset {
  readonly code: number;
  /** When it was first tried. */
  sinceMs: number | undefined;
}

/**
 * What aborted streams leave behind in quiche, and bringing quiche to forget them: a forgotten stream gives its place back to the
 * peer (MAX_STREAMS, RFC 9000 §4.6).
 *
 * quiche 0.18 forgets a stream only when an acknowledgement arrives, or a read succeeds, after both directions are over; and never
 * if it held unsent bytes when the stream was reset. So resets wait until everything was sent, and streams that were over too
 * late for an acknowledgement are made to send one more empty frame.
 */
export class StreamRemains {
  readonly #link: GuardedConnection;
  readonly #resets = new Map<number, PendingReset>();
  /** Ids of aborted streams, and how often each was looked at. */
  readonly #aborted = new Map<number, number>();

  constructor(link: GuardedConnection) {
    this.#link = link;
  }

  get size(): number {
    return this.#aborted.size + this.#resets.size;
  }

  /** Whether a reset waits. */
  get hasResets(): boolean {
    return this.#resets.size > 0;
  }

  /** Whether this stream was aborted a short while ago. */
  has(streamId: number): boolean {
    return this.#aborted.has(streamId);
  }

  /** Resets the stream as soon as what was sent on it has left; see {@link finishResets}. */
  reset(streamId: number, code: number): void {
    if (!this.#resets.has(streamId)) this.#resets.set(streamId, { code, sinceMs: undefined });
  }

  /** Watches an aborted stream until quiche has forgotten it. */
  add(streamId: number): void {
    this.#aborted.set(streamId, 0);
  }

  /** Resets what may be reset. Returns whether a reset was queued, which then is to be sent. */
  finishResets(window: SendWindow, nowMs: number): boolean {
    let any = false;
    for (const [streamId, pending] of this.#resets) {
      pending.sinceMs ??= nowMs;
      const capacity = this.#link.streamCapacity(streamId);
      const mustWait = typeof capacity === "number" && !window.isDrained(capacity);
      if (mustWait && nowMs - pending.sinceMs < maxWaitMs) continue;
      this.#resets.delete(streamId);
      this.#link.streamShutdown(streamId, "Write", pending.code);
      any = true;
    }
    return any;
  }

  /** Looks after the oldest of the aborted streams. Returns whether there is something new to send. */
  sweep(): boolean {
    let any = false;
    // Those looked at go to the end of the queue.
    let left = Math.min(streamsPerSweep, this.#aborted.size);
    for (const [streamId, looks] of this.#aborted) {
      if (left === 0) break;
      left -= 1;
      this.#aborted.delete(streamId);
      const capacity = this.#link.streamCapacity(streamId);
      if (typeof capacity !== "number" && capacity.kind !== "stopped") continue;
      if (looks >= maxLooks) continue;
      this.#aborted.set(streamId, looks + 1);
      if (looks === 0 || this.#resets.has(streamId) || !this.#link.streamFinished(streamId))
        continue;
      if (typeof capacity === "number") this.#link.streamSend(streamId, noBytes, true);
      else this.#link.streamShutdown(streamId, "Write", capacity.code);
      any = true;
    }
    return any;
  }
}

const noBytes = new Uint8Array(0);
/** How long a reset waits for the congestion window; where the peer's flow control hides that, all of it for nothing. */
const maxWaitMs = 200;
const streamsPerSweep = 512;
/** Sweeps after which a stream is left to quiche; the peer has then not ended its part for a long time. */
const maxLooks = 100;
