import { expect, it } from "vitest";
import { silentLog, type Log } from "@culvert/telemetry";
import { VirtualClock } from "@culvert/testkit";
import { AgentLines } from "./agent-lines.ts";

function recorded() {
  const seen: unknown[] = [];
  const clock = new VirtualClock();
  const log: Log = {
    ...silentLog,
    info: (_event, fields) => void seen.push(fields?.["line"]),
    warn: (_event, fields) => void seen.push(fields),
  };
  const lines = new AgentLines(log, clock);
  const say = (count: number): void => {
    for (let at = 0; at < count; at += 1) lines.add("x");
  };
  return { seen, clock, lines, say };
}

it("an agent that says too much is told of once it is over, though it is silent then", async () => {
  const { seen, clock, say } = recorded();
  say(203);
  expect(seen).toHaveLength(200);
  await clock.advance(9_999);
  expect(seen).toHaveLength(200);
  await clock.advance(1);
  expect(seen.slice(200)).toEqual([{ suppressed: 3 }]);
  say(200);
  await clock.advance(10_000);
  expect(seen).toHaveLength(401);
  expect(clock.pendingTimers).toBe(0);
});

it("what an agent that ends has said too much is told at its end", async () => {
  const { seen, clock, lines, say } = recorded();
  say(201);
  lines.flush();
  lines.flush();
  await clock.advance(20_000);
  expect(seen.slice(200)).toEqual([{ suppressed: 1 }]);
});
