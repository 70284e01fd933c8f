import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { sleep, systemClock } from "./clock.ts";
import { millis } from "./duration.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("a timer fires once, and not if it was cancelled", () => {
  const fired = vi.fn();
  const cancelled = vi.fn();
  systemClock.setTimer(millis(10), fired);
  const timer = systemClock.setTimer(millis(10), cancelled, { unref: true });
  timer.cancel();
  timer.cancel();
  vi.advanceTimersByTime(100);
  expect(fired).toHaveBeenCalledOnce();
  expect(cancelled).not.toHaveBeenCalled();
});

test("a timer of more than 24.8 days does not fire at once", () => {
  const fired = vi.fn();
  const dayMs = 86_400_000;
  systemClock.setTimer(millis(60 * dayMs), fired);
  vi.advanceTimersByTime(60 * dayMs - 1);
  expect(fired).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(fired).toHaveBeenCalledOnce();
});

test("a long timer is cancelled at any time", () => {
  const fired = vi.fn();
  const dayMs = 86_400_000;
  const timer = systemClock.setTimer(millis(60 * dayMs), fired);
  vi.advanceTimersByTime(40 * dayMs);
  timer.cancel();
  expect(vi.getTimerCount()).toBe(0);
});

test("sleep ends with its time, or at once with the signal's reason", async () => {
  const controller = new AbortController();
  const slept = sleep(systemClock, millis(50), controller.signal);
  await vi.advanceTimersByTimeAsync(50);
  await slept;
  const broken = sleep(systemClock, millis(50), controller.signal);
  controller.abort(new Error("enough"));
  await expect(broken).rejects.toThrow("enough");
  await expect(sleep(systemClock, millis(50), controller.signal)).rejects.toThrow("enough");
  expect(vi.getTimerCount()).toBe(0);
});
