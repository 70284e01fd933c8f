import { millis, sleep } from "@culvert/runtime";
import { expect, test } from "vitest";
import { VirtualClock } from "./virtual-clock.ts";

test("stands still until told, then runs timers by time and order of setting", async () => {
  const clock = new VirtualClock();
  const seen: string[] = [];
  clock.setTimer(millis(20), () => seen.push(`late at ${clock.now()}`));
  clock.setTimer(millis(10), () => seen.push(`first at ${clock.now()}`));
  clock.setTimer(millis(10), () => seen.push(`second at ${clock.now()}`));
  await new Promise((resolve) => setImmediate(resolve));
  expect(seen).toEqual([]);
  await clock.advance(15);
  expect(seen).toEqual(["first at 10", "second at 10"]);
  expect([clock.now(), clock.pendingTimers]).toEqual([15, 1]);
  await clock.advance(100);
  expect(seen).toHaveLength(3);
  expect(clock.wallNowMs()).toBe(Date.UTC(2026, 0, 1) + 115);
});

test("a timer set by a timer runs in the same advance, if it falls due", async () => {
  const clock = new VirtualClock();
  const times: number[] = [];
  const again = (): void => {
    times.push(clock.now());
    clock.setTimer(millis(10), again);
  };
  again();
  await clock.advance(35);
  expect(times).toEqual([0, 10, 20, 30]);
});

test("a cancelled timer does not run, even if another one of that time cancels it", async () => {
  const clock = new VirtualClock();
  let ran = false;
  clock.setTimer(millis(5), () => victim.cancel());
  const victim = clock.setTimer(millis(5), () => (ran = true));
  await clock.advance(10);
  expect(ran).toBe(false);
});

test("what follows from a timer is over before the next one", async () => {
  const clock = new VirtualClock();
  const seen: string[] = [];
  void sleep(clock, millis(1)).then(() => seen.push("slept"));
  clock.setTimer(millis(2), () => seen.push("timer"));
  await clock.advance(2);
  expect(seen).toEqual(["slept", "timer"]);
});
