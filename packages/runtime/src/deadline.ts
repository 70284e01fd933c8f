import type { Clock } from "./clock.ts";
import { formatMillis, type Millis } from "./duration.ts";
import { TransportError } from "./errors.ts";

/** How to wait for a thing no longer than is right. */
export interface DeadlineOptions<T> {
  readonly clock: Clock;
  readonly limit: Millis;
  /** What was waited for, for the error: `handshake with 127.0.0.1:30380`. */
  readonly what: string;
  readonly signal?: AbortSignal | undefined;
  /** Releases a result that arrives after the wait has ended; what it throws is dropped. */
  readonly discard?: ((late: T) => void) | undefined;
}

/**
 * Runs `start` and waits for its result, at most `limit`. `start` gets a signal that aborts when the wait ends without a result; for
 * one that declares no parameter none is made.
 * @throws TransportError `timeout`, or `aborted` where the caller's signal ended the wait.
 */
export function withDeadline<T>(
  options: DeadlineOptions<T>,
  start: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { clock, limit, what, signal, discard } = options;
  return new Promise<T>((resolve, reject) => {
    // Signals are dear, and every connection waits several times.
    const controller = start.length === 0 ? undefined : new AbortController();
    let waiting = true;
    const settle = (): boolean => {
      if (!waiting) return false;
      waiting = false;
      timer.cancel();
      signal?.removeEventListener("abort", onAbort);
      return true;
    };
    const giveUp = (error: Error): void => {
      if (!settle()) return;
      controller?.abort(error);
      reject(error);
    };
    const onAbort = (): void => {
      giveUp(new TransportError("aborted", `${what}: aborted`, { cause: signal?.reason }));
    };
    const timer = clock.setTimer(limit, () => {
      giveUp(new TransportError("timeout", `${what}: no result within ${formatMillis(limit)}`));
    });
    if (signal?.aborted === true) {
      onAbort();
      return;
    }
    signal?.addEventListener("abort", onAbort, { once: true });
    // An async wrapper, so that what `start` throws at once ends the wait too.
    const started = (async () => start(controller?.signal ?? neverAborted))();
    started.then(
      (value) => {
        if (settle()) resolve(value);
        else release(value, discard);
      },
      (error: unknown) => {
        if (settle()) reject(error instanceof Error ? error : new Error(String(error)));
      },
    );
  });
}

/** Given where nobody looks. */
const neverAborted = new AbortController().signal;

/** Nobody waits for the result any more, so nobody could be told that its release failed. */
function release<T>(late: T, discard: ((late: T) => void) | undefined): void {
  try {
    discard?.(late);
  } catch {
    // Dropped, as said above.
  }
}
