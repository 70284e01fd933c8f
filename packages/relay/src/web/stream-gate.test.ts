import { VirtualClock } from "@culvert/testkit";
import { millis } from "@culvert/runtime";
import { expect, it } from "vitest";
import { StreamGate, type GatePass, type Turn } from "./stream-gate.ts";

const never = new AbortController().signal;

/** Enters as many times; gives the turns of those that were let in, as they are. */
async function enter(pass: GatePass, count: number, signal = never): Promise<Turn[]> {
  const turns: Turn[] = [];
  for (let index = 0; index < count; index += 1) {
    pass.enter(signal).then(
      (turn) => turns.push(turn),
      () => undefined,
    );
  }
  await settled();
  return turns;
}

function join(gate: StreamGate, visitor = "192.0.2.1", giveUp = (): void => undefined): GatePass {
  return gate.join(visitor, giveUp);
}

it("lets everybody in until one is cut, then as many as survived", async () => {
  const clock = new VirtualClock();
  const pass = join(new StreamGate(clock));
  const turns = await enter(pass, 32);
  expect(turns).toHaveLength(32);
  for (const turn of turns.splice(6)) {
    turn.cut();
    turn.cut();
    turn.end();
  }
  const later = await enter(pass, 10);
  expect(later).toHaveLength(0);
  turns.splice(0, 2).forEach((turn) => turn.end());
  await settled();
  expect(later).toHaveLength(2);
  // Nobody waits for ever for answers without end.
  await clock.advance(millis(5_000));
  expect(later).toHaveLength(10);
});

it("lets nobody in for the one that was cut", async () => {
  const pass = join(new StreamGate(new VirtualClock()));
  const turns = await enter(pass, 50);
  expect(turns).toHaveLength(32);
  for (const turn of turns.slice(0, 27)) turn.cut();
  await settled();
  expect(turns).toHaveLength(32);
});

it("leaves room for four, whatever was cut", async () => {
  const pass = join(new StreamGate(new VirtualClock()));
  for (const turn of await enter(pass, 3)) turn.cut();
  expect(await enter(pass, 9)).toHaveLength(4);
});

it("opens some seconds after the first cut, however many follow", async () => {
  const clock = new VirtualClock();
  const gate = new StreamGate(clock);
  const pass = join(gate);
  const turns = await enter(pass, 5);
  turns.pop()?.cut();
  const waiting = await enter(pass, 3);
  for (let second = 0; second < 4; second += 1) {
    await clock.advance(millis(1_000));
    turns.pop()?.cut();
  }
  await clock.advance(millis(1_000));
  expect(waiting).toHaveLength(3);
});

it("holds back who was cut, on all connections, and nobody else", async () => {
  const gate = new StreamGate(new VirtualClock());
  const hostile = join(gate);
  const turns = await enter(hostile, 5);
  turns.pop()?.cut();
  expect(await enter(join(gate), 2)).toHaveLength(0);
  expect(await enter(join(gate, "192.0.2.2"), 20)).toHaveLength(20);
});

it("lets visitors who wait take turns", async () => {
  const gate = new StreamGate(new VirtualClock());
  const many = join(gate);
  const few = join(gate, "192.0.2.2");
  const turns = await enter(many, 3);
  const [other] = await enter(few, 1);
  const [fifth] = await enter(few, 1);
  fifth?.cut();
  const [again] = await enter(many, 1);
  again?.cut();
  const ofMany = await enter(many, 20);
  const ofFew = await enter(few, 1);
  turns.forEach((turn) => turn.end());
  await settled();
  expect([ofMany.length, ofFew.length]).toEqual([2, 1]);
  other?.end();
});

it("a connection at its own bound holds back no other of the same visitor", async () => {
  const gate = new StreamGate(new VirtualClock());
  expect(await enter(join(gate), 40)).toHaveLength(32);
  expect(await enter(join(gate), 1)).toHaveLength(1);
});

it("forgets who has left while waiting", async () => {
  const gate = new StreamGate(new VirtualClock());
  const pass = join(gate);
  const turns = await enter(pass, 5);
  turns.pop()?.cut();
  const leaving = new AbortController();
  const gone = pass.enter(leaving.signal);
  const staying = await enter(pass, 1);
  leaving.abort();
  await expect(gone).rejects.toMatchObject({ name: "TransportError", code: "aborted" });
  turns[0]?.end();
  await settled();
  expect(staying).toHaveLength(1);
  await expect(pass.enter(leaving.signal)).rejects.toMatchObject({ code: "aborted" });
});

it("asks those who hold idle streams for them when one who was cut has to wait", async () => {
  const gate = new StreamGate(new VirtualClock());
  const given: string[] = [];
  const one = join(gate, "192.0.2.2", () => given.push("one"));
  const gone = join(gate, "192.0.2.3", () => given.push("gone"));
  expect([one.mayKeepIdle(), gone.mayKeepIdle()]).toEqual([true, true]);
  gone.leave();
  const busy = join(gate);
  await enter(busy, 40);
  expect([given, one.mayKeepIdle()]).toEqual([[], true]);
  const cut = join(gate, "192.0.2.4");
  (await enter(cut, 1))[0]?.cut();
  await enter(cut, 1);
  expect([given, one.mayKeepIdle(), gone.mayKeepIdle()]).toEqual([["one"], false, false]);
});

it("bounds how many wait, of one visitor and in all", async () => {
  const gate = new StreamGate(new VirtualClock());
  const refused = { name: "LimitError", code: "queue_full" };
  for (let visitor = 0; visitor < 8; visitor += 1) {
    const pass = join(gate, `192.0.2.${visitor}`);
    await enter(pass, 32 + 512);
    await expect(pass.enter(never)).rejects.toMatchObject(refused);
  }
  const last = join(gate, "192.0.2.100");
  expect(await enter(last, 33)).toHaveLength(32);
  await expect(last.enter(never)).rejects.toMatchObject({ data: { limit: "mostWaiting" } });
});

async function settled(): Promise<void> {
  for (let turn = 0; turn < 4; turn += 1)
    await new Promise<void>((resolve) => setImmediate(resolve));
}
