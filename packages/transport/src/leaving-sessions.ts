import { millis, sleep, type Clock, type CloseReason, type Millis } from "@culvert/runtime";
import { closeGently } from "./close-gently.ts";
import type { Session } from "./session.ts";

/** What becomes of sessions that were left for a better one. */
export interface LeavingOptions {
  readonly clock: Clock;
  /** How long their streams may go on. */
  readonly limit: Millis;
  /** Told when one of them is over. */
  readonly left: (session: Session, reason: CloseReason) => void;
}

/** Sessions that a link has moved away from. Each is closed when its last stream has ended, or at the limit. */
export class LeavingSessions {
  readonly #options: LeavingOptions;
  readonly #sessions = new Map<Session, Promise<void>>();
  readonly #stop = new AbortController();

  constructor(options: LeavingOptions) {
    this.#options = options;
  }

  /** Those that are not over yet, the oldest first. */
  get list(): readonly Session[] {
    return [...this.#sessions.keys()];
  }

  /** Takes over a session, and sees it to its end. There are at most two: the oldest has to go for a third. */
  add(session: Session): void {
    const [oldest] = this.#sessions.keys();
    if (oldest !== undefined && this.#sessions.size >= mostLeaving) {
      oldest.close({ by: "us", code: "moved", text: "two newer sessions were left behind" });
    }
    this.#sessions.set(session, this.#see(session));
  }

  /** Closes all of them, each once its last bytes have arrived. */
  async close(reason: CloseReason): Promise<void> {
    this.#stop.abort();
    await Promise.all(
      [...this.#sessions].map(async ([session, seen]) => {
        await closeGently(session, reason, this.#options.clock);
        await seen;
      }),
    );
  }

  async #see(session: Session): Promise<void> {
    const { clock, limit, left } = this.#options;
    const over = new AbortController();
    const reason = session.closed.finally(() => over.abort());
    const signal = AbortSignal.any([over.signal, this.#stop.signal]);
    try {
      await untilEmpty(session, clock, limit, signal);
      await closeGently(session, movedReason, clock);
    } catch {
      // It is over, or everything is about to be closed.
    }
    left(session, await reason);
    this.#sessions.delete(session);
  }
}

/** Waits until a session has had no streams for a while, at most `limit`. @throws where the signal aborts. */
async function untilEmpty(
  session: Session,
  clock: Clock,
  limit: Millis,
  signal: AbortSignal,
): Promise<void> {
  const startedAt = clock.now();
  let emptySince: number | undefined;
  for (;;) {
    const now = clock.now();
    if (session.stats().openStreams > 0) emptySince = undefined;
    else emptySince ??= now;
    if (now - startedAt >= limit || (emptySince !== undefined && now - emptySince >= linger))
      return;
    await sleep(clock, pollInterval, signal);
  }
}

const movedReason: CloseReason = {
  by: "us",
  code: "moved",
  text: "the session moved to a better transport",
};
/** As many as a relay keeps (PROTOCOL.md §4.1). */
const mostLeaving = 2;
const pollInterval = millis(500);
/** A stream that the relay opened before it knew of the move may be on its way still. */
const linger = millis(5_000);
