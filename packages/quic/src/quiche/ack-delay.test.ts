import { expect, test } from "vitest";
import { millis } from "@culvert/runtime";
import { VirtualClock } from "@culvert/testkit";
import { AckDelay } from "./ack-delay.ts";
import { driverCounts } from "./driver-counts.ts";

function delayed(): { clock: VirtualClock; acks: AckDelay; due: number[]; timers: () => number } {
  const clock = new VirtualClock();
  const counts = driverCounts();
  const due: number[] = [];
  const acks = new AckDelay({ clock, counts, onDue: () => due.push(clock.now()) });
  return { clock, acks, due, timers: () => counts.timers };
}

test("one datagram's acknowledgement waits for company, but not for long", async () => {
  const { clock, acks, due } = delayed();
  acks.heard(1);
  expect(acks.putOff(clock.now())).toBe(true);
  await clock.advance(millis(4));
  expect(acks.putOff(clock.now())).toBe(true);
  expect(due).toEqual([]);
  await clock.advance(millis(1));
  expect(due).toHaveLength(1);
  expect(acks.putOff(clock.now())).toBe(false);
});

test("the second datagram's acknowledgement does not wait, in whichever turn it comes", () => {
  const { clock, acks } = delayed();
  acks.heard(2);
  expect(acks.putOff(clock.now())).toBe(false);
  acks.paid();
  acks.heard(1);
  expect(acks.putOff(clock.now())).toBe(true);
  acks.heard(1);
  expect(acks.putOff(clock.now())).toBe(false);
});

test("where nothing was received, nothing waits", () => {
  const { clock, acks } = delayed();
  expect(acks.putOff(clock.now())).toBe(false);
});

test("a thousand answers in one millisecond each cost a timer for every five, not two for each", async () => {
  const { clock, acks, due, timers } = delayed();
  for (let round = 0; round < 1000; round += 1) {
    acks.heard(1);
    acks.putOff(clock.now());
    await clock.advance(millis(1));
    acks.paid();
  }
  expect(due).toEqual([]);
  expect(timers()).toBeLessThanOrEqual(250);
});
