import { expect, test } from "vitest";
import { seededRandom } from "@culvert/testkit";
import { ChosenLoss } from "./chosen-loss.test-data.ts";

/** A path whose far end has sent FIN, and sends no SACK after it. */
async function lose(lost: number, of: number): Promise<number> {
  const path = new ChosenLoss({ isSilent: true });
  await path.open();
  const random = seededRandom(7);
  // The window grows until so many go at once.
  path.send(4 * of);
  await path.arrived(4 * of, 60_000);
  path.restart();
  const chosen = new Set<number>();
  while (chosen.size < lost) chosen.add(Math.floor(random.fraction() * of));
  path.fate = ({ number, times }) => (times === 1 && chosen.has(number) ? Infinity : 0);
  path.send(of);
  return path.arrived(of, 60_000);
}

test("many segments lost at once towards a peer that reports nothing are not repaired one per round trip", async () => {
  const ms = await lose(200, 400);
  expect(ms, `${ms} ms`).toBeLessThan(1_000);
}, 60_000);
