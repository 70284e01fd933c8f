import { millis, sleep, systemClock, withDeadline } from "@culvert/runtime";

/** How long to wait, and for what. */
export interface WaitOptions {
  /** Real milliseconds; 5,000 by default. */
  readonly limitMs?: number;
  /** What is waited for, in the error when it does not come. */
  readonly what: string;
}

/**
 * Polls `condition` in real time until it returns something truthy, which is the result.
 * @throws Error naming what was waited for, when the limit has passed.
 */
export async function waitUntil<T>(
  condition: () => T | Promise<T>,
  { limitMs = 5_000, what }: WaitOptions,
): Promise<NonNullable<T>> {
  const endMs = systemClock.now() + limitMs;
  for (;;) {
    const result = await condition();
    if (result) return result;
    if (systemClock.now() >= endMs) throw new Error(`waited ${limitMs} ms in vain for ${what}`);
    await sleep(systemClock, millis(pollMs));
  }
}

/** Waits for a promise in real time. @throws TransportError `timeout` naming what was waited for. */
export function within<T>(promise: Promise<T>, { limitMs = 5_000, what }: WaitOptions): Promise<T> {
  return withDeadline({ clock: systemClock, limit: millis(limitMs), what }, () => promise);
}

const pollMs = 5;
