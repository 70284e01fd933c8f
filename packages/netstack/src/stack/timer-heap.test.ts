import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { VirtualClock } from "@culvert/testkit";
import { TimerHeap, type Sleeper } from "./timer-heap.ts";

class Alarm implements Sleeper {
  heapIndex = -1;
  dueMs: number;
  readonly wokenAtMs: number[] = [];

  constructor(dueMs: number) {
    this.dueMs = dueMs;
  }

  wake(nowMs: number): void {
    this.wokenAtMs.push(nowMs);
    this.dueMs = Infinity;
  }
}

describe("the timer heap", () => {
  test("wakes each when it is due, however the times have moved, with one timer", async () => {
    const change = fc.record({
      who: fc.nat(9),
      delayMs: fc.oneof(fc.constant(Infinity), fc.integer({ min: 1, max: 100 })),
      stepMs: fc.nat(30),
      removed: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(change, { maxLength: 40 }), async (changes) => {
        const clock = new VirtualClock();
        const heap = new TimerHeap(clock);
        const alarms = Array.from({ length: 10 }, () => new Alarm(Infinity));
        const due = alarms.map(() => Infinity);
        const expected = alarms.map((): number[] => []);
        const pass = async (ms: number): Promise<void> => {
          const endMs = clock.now() + ms;
          due.forEach((dueMs, who) => {
            if (dueMs > endMs) return;
            expected[who]?.push(dueMs);
            due[who] = Infinity;
          });
          await clock.advance(ms);
        };
        for (const { who, delayMs, stepMs, removed } of changes) {
          const alarm = alarms[who]!;
          alarm.dueMs = clock.now() + delayMs;
          due[who] = removed ? Infinity : alarm.dueMs;
          if (removed) heap.remove(alarm);
          else heap.update(alarm);
          expect(clock.pendingTimers).toBeLessThanOrEqual(1);
          await pass(stepMs);
        }
        await pass(200);
        expect(alarms.map(({ wokenAtMs }) => wokenAtMs)).toEqual(expected);
        expect(heap.size).toBe(0);
      }),
      { numRuns: 50 },
    );
  });

  test("sets no timer anew for a time that moves to later", async () => {
    const clock = new VirtualClock();
    const heap = new TimerHeap(clock);
    const alarm = new Alarm(100);
    heap.update(alarm);
    for (alarm.dueMs = 110; alarm.dueMs < 200; alarm.dueMs += 10) heap.update(alarm);
    await clock.advance(150);
    expect(alarm.wokenAtMs).toEqual([]);
    await clock.advance(100);
    expect(alarm.wokenAtMs).toEqual([200]);
  });

  test("goes on though one is due again at once", async () => {
    const clock = new VirtualClock();
    const heap = new TimerHeap(clock);
    const restless = new Alarm(10);
    restless.wake = (nowMs) => {
      restless.wokenAtMs.push(nowMs);
      restless.dueMs = restless.wokenAtMs.length < 5 ? nowMs : Infinity;
    };
    heap.update(restless);
    await clock.advance(10);
    expect(restless.wokenAtMs).toHaveLength(5);
  });

  test("wakes nobody after it was closed", async () => {
    const clock = new VirtualClock();
    const heap = new TimerHeap(clock);
    const alarm = new Alarm(10);
    heap.update(alarm);
    heap.close();
    heap.update(alarm);
    await clock.advance(100);
    expect([alarm.wokenAtMs, clock.pendingTimers]).toEqual([[], 0]);
  });
});
