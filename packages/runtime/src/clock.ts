import { millis, type Millis } from "./duration.ts";

/** A timer that was set and may still be cancelled; cancelling twice does nothing. */
export interface Timer {
  cancel(): void;
}

/** The only source of time. Real in daemons, virtual in tests. */
export interface Clock {
  /** Monotonic time in milliseconds since an arbitrary start. */
  now(): Millis;
  /** Wall-clock time in milliseconds since 1970-01-01 UTC; for logs, certificates and tokens. */
  wallNowMs(): number;
  /** Calls `callback` once, `delay` from now. The timer keeps the process alive unless `unref` is given. */
  setTimer(delay: Millis, callback: () => void, options?: { readonly unref?: boolean }): Timer;
}

/** The machine's own clock. */
export const systemClock: Clock = {
  now: () => millis(performance.now()),
  wallNowMs: () => Date.now(),
  setTimer(delay, callback, options) {
    let handle: NodeJS.Timeout;
    const arm = (leftMs: number): void => {
      const stepMs = Math.min(leftMs, longestTimeoutMs);
      handle = setTimeout(() => (leftMs > stepMs ? arm(leftMs - stepMs) : callback()), stepMs);
      if (options?.unref === true) handle.unref();
    };
    arm(delay);
    return { cancel: () => clearTimeout(handle) };
  },
};

/** Resolves `delay` from now, or rejects with the signal's reason as soon as it aborts. */
export function sleep(clock: Clock, delay: Millis, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(abortReason(signal));
      return;
    }
    const onAbort = (): void => {
      timer.cancel();
      reject(abortReason(signal));
    };
    const timer = clock.setTimer(delay, () => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    });
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

function abortReason(signal: AbortSignal | undefined): Error {
  const reason: unknown = signal?.reason;
  return reason instanceof Error ? reason : new Error("aborted");
}

/** Beyond this (24.8 days) setTimeout fires at once. */
const longestTimeoutMs = 2 ** 31 - 1;
