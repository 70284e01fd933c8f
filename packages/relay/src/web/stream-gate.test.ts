import { VirtualClock } from "@culvert/testkit";
import { millis } from "@culvert/runtime";
import { expect, it } from "vitest";
import { StreamGate } from "./stream-gate.ts";

/** Enters as many times; gives the ways out of those that were let in, as they are. */
async function enter(gate: StreamGate, count: number): Promise<(() => void)[]> {
  const outs: (() => void)[] = [];
  for (let index = 0; index < count; index += 1) void gate.enter().then((out) => outs.push(out));
  await settled();
  return outs;
}

it("lets everybody in until one is cut, then as many as survived, in the order they came", async () => {
  const clock = new VirtualClock();
  const gate = new StreamGate(clock);
  const outs = await enter(gate, 32);
  expect([outs.length, gate.crowded]).toEqual([32, false]);
  for (const out of outs.splice(6)) {
    out();
    out();
    gate.cut();
  }
  const later = await enter(gate, 10);
  expect([later.length, gate.crowded]).toEqual([0, true]);
  outs.splice(0, 2).forEach((out) => out());
  await settled();
  expect(later).toHaveLength(2);
  // Nobody waits for ever for answers without end.
  await clock.advance(millis(5_000));
  await settled();
  expect([later.length, gate.crowded]).toEqual([10, false]);
});

it("leaves room for four, whatever was cut", async () => {
  const gate = new StreamGate(new VirtualClock());
  for (const out of await enter(gate, 3)) {
    out();
    gate.cut();
  }
  expect(await enter(gate, 9)).toHaveLength(4);
});

it("asks those who hold idle streams for them when somebody has to wait", async () => {
  const gate = new StreamGate(new VirtualClock());
  const idle = await enter(gate, 4);
  const away = gate.addHolder(() => idle.pop()?.());
  gate.cut();
  expect(await enter(gate, 2)).toHaveLength(2);
  away();
  expect(await enter(gate, 1)).toHaveLength(0);
});

it("bounds how many wait", async () => {
  const gate = new StreamGate(new VirtualClock());
  gate.cut();
  expect(await enter(gate, 4 + 4_096)).toHaveLength(4);
  await expect(gate.enter()).rejects.toMatchObject({ name: "LimitError", code: "queue_full" });
});

async function settled(): Promise<void> {
  for (let turn = 0; turn < 4; turn += 1)
    await new Promise<void>((resolve) => setImmediate(resolve));
}
