import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { systemClock } from "./clock.ts";
import { withDeadline, type DeadlineOptions } from "./deadline.ts";
import { millis } from "./duration.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const options: DeadlineOptions<string> = {
  clock: systemClock,
  limit: millis(1_000),
  what: "the answer",
};

test("gives the result, and leaves no timer and no listener", async () => {
  const controller = new AbortController();
  const off = vi.spyOn(controller.signal, "removeEventListener");
  const result = withDeadline({ ...options, signal: controller.signal }, () =>
    Promise.resolve("42"),
  );
  await expect(result).resolves.toBe("42");
  expect(vi.getTimerCount()).toBe(0);
  expect(off).toHaveBeenCalledOnce();
});

test("gives up at the limit, tells what was waited for, and aborts the work", async () => {
  let given: AbortSignal | undefined;
  const result = withDeadline(options, (signal) => {
    given = signal;
    return new Promise<string>(() => undefined);
  });
  const refused = expect(result).rejects.toMatchObject({
    code: "timeout",
    message: "the answer: no result within 1s",
  });
  await vi.advanceTimersByTimeAsync(999);
  expect(given?.aborted).toBe(false);
  await vi.advanceTimersByTimeAsync(1);
  await refused;
  expect(given?.aborted).toBe(true);
});

test("a result that comes too late is discarded, once", async () => {
  const late: string[] = [];
  let answer: (value: string) => void = () => undefined;
  const result = withDeadline({ ...options, discard: (value) => late.push(value) }, () => {
    return new Promise<string>((resolve) => (answer = resolve));
  });
  const refused = expect(result).rejects.toMatchObject({ code: "timeout" });
  await vi.advanceTimersByTimeAsync(1_000);
  await refused;
  answer("too late");
  await vi.advanceTimersByTimeAsync(0);
  expect(late).toEqual(["too late"]);
});

test("neither a late failure nor a failing discard escapes", async () => {
  let fail: (error: Error) => void = () => undefined;
  let answer: (value: string) => void = () => undefined;
  const discard = vi.fn(() => {
    throw new Error("cannot release");
  });
  const failing = withDeadline(
    options,
    () => new Promise<string>((_, reject) => (fail = reject)),
  ).catch(() => undefined);
  const answering = withDeadline(
    { ...options, discard },
    () => new Promise<string>((resolve) => (answer = resolve)),
  ).catch(() => undefined);
  await vi.advanceTimersByTimeAsync(1_000);
  await Promise.all([failing, answering]);
  fail(new Error("late"));
  answer("late");
  await vi.advanceTimersByTimeAsync(0);
  expect(discard).toHaveBeenCalledOnce();
});

test("the caller's signal ends the wait with its reason as the cause", async () => {
  const controller = new AbortController();
  const result = withDeadline({ ...options, signal: controller.signal }, () => {
    return new Promise<string>(() => undefined);
  });
  const reason = new Error("shutting down");
  controller.abort(reason);
  await expect(result).rejects.toMatchObject({ code: "aborted", cause: reason });
  expect(vi.getTimerCount()).toBe(0);
});

test("a signal that has aborted before starts nothing", async () => {
  const start = vi.fn(() => Promise.resolve("never"));
  const result = withDeadline({ ...options, signal: AbortSignal.abort() }, start);
  await expect(result).rejects.toMatchObject({ code: "aborted" });
  expect(start).not.toHaveBeenCalled();
  expect(vi.getTimerCount()).toBe(0);
});

test("what start throws at once ends the wait like any failure", async () => {
  const result = withDeadline(options, () => {
    throw new Error("at once");
  });
  await expect(result).rejects.toThrow("at once");
  expect(vi.getTimerCount()).toBe(0);
});
