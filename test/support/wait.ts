import { millis, sleep, systemClock } from "@culvert/runtime";

/** How long {@link waitUntil} tries, and how often. */
export interface WaitOptions {
  /** Gives up after this many milliseconds. Default 5,000. */
  readonly withinMs?: number;
  /** Looks again after this many milliseconds. Default 20. */
  readonly everyMs?: number;
}

/**
 * Looks until `probe` gives something other than `undefined` or `false`, and returns that.
 * Throws with `what` and the last failure of the probe once the time is over; a probe that throws is simply asked again.
 */
export async function waitUntil<T>(
  what: string,
  probe: () => T | undefined | false | Promise<T | undefined | false>,
  options: WaitOptions = {},
): Promise<T> {
  const withinMs = options.withinMs ?? 5_000;
  const end = systemClock.now() + withinMs;
  let lastFailure: unknown;
  for (;;) {
    try {
      const found = await probe();
      if (found !== undefined && found !== false) return found;
      lastFailure = undefined;
    } catch (error) {
      lastFailure = error;
    }
    if (systemClock.now() >= end) {
      throw new Error(`not within ${withinMs} ms: ${what}`, { cause: lastFailure });
    }
    await sleep(systemClock, millis(options.everyMs ?? 20));
  }
}

/** The promise's own outcome, or an error naming `what` once `ms` milliseconds have passed. */
export async function within<T>(ms: number, what: string, promise: Promise<T>): Promise<T> {
  let cancel = (): void => undefined;
  const late = new Promise<never>((_, reject) => {
    const timer = systemClock.setTimer(millis(ms), () => {
      reject(new Error(`not within ${ms} ms: ${what}`));
    });
    cancel = () => timer.cancel();
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    cancel();
  }
}

/** What `action` gave and how many milliseconds it took. */
export async function timed<T>(
  action: () => Promise<T>,
): Promise<{ readonly value: T; readonly tookMs: number }> {
  const start = systemClock.now();
  const value = await action();
  return { value, tookMs: systemClock.now() - start };
}
