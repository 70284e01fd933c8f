import { expect, test } from "vitest";
import { waitUntil } from "@culvert/testkit";
import { TurnScheduler } from "./turn-scheduler.ts";

test("what one turn gives another to do is done in the same run, and what for itself in the next", async () => {
  const scheduler = new TurnScheduler();
  const order: string[] = [];
  const second = { turn: () => void order.push("second") };
  const first = {
    turn() {
      order.push("first");
      scheduler.schedule(second);
      scheduler.schedule(second);
      if (order.length === 1) scheduler.schedule(first);
      setImmediate(() => order.push("later"));
    },
  };
  scheduler.schedule(first);
  await waitUntil(() => order.length === 6, { what: "both runs" });
  expect(order).toEqual(["first", "second", "first", "second", "later", "later"]);
});
