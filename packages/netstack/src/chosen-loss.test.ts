import { describe, expect, test } from "vitest";
import { ChosenLoss } from "./chosen-loss.test-data.ts";

/** Far below the least retransmission time-out, which is 200 ms. */
const noTimeOutMs = 150;

async function opened(): Promise<ChosenLoss> {
  const path = new ChosenLoss();
  await path.open();
  return path;
}

describe("what is lost on a path of 20 ms", () => {
  test("at the end of a flight is found by a probe after two round trips, and no time-out is waited for", async () => {
    const path = await opened();
    path.fate = ({ number, times }) => (number >= 7 && times === 1 ? Infinity : 0);
    path.send(10);
    // Acknowledged at 20, probed at 60, reported at 80, repaired at 90.
    expect(await path.arrived(10, noTimeOutMs)).toBeLessThanOrEqual(92);
    expect(path.retransmitted.map(({ number }) => number)).toEqual([9, 7, 8]);
    expect(path.retransmitted[0]?.atMs).toBeLessThanOrEqual(61);
  });

  test("and is a single segment, is probed after two round trips and what an acknowledgement may be held back", async () => {
    const path = await opened();
    path.fate = ({ times }) => (times === 1 ? Infinity : 0);
    path.send(1);
    expect(await path.arrived(1, noTimeOutMs)).toBeLessThanOrEqual(92);
    expect(path.sent).toHaveLength(2);
  });

  test("is probed by new data, where there is some, though the congestion window is full", async () => {
    const path = await opened();
    path.fate = ({ number }) => (number < 10 && path.nowMs < 50 ? Infinity : 0);
    path.send(12);
    await path.arrived(12, noTimeOutMs);
    expect(path.sent.find(({ atMs }) => atMs > 0)?.number).toBe(10);
  });

  test("and lost again when it was sent again is found as soon as something sent later arrives", async () => {
    const path = await opened();
    path.fate = ({ number, times }) => (number === 3 && times <= 2 ? Infinity : 0);
    path.send(40);
    await path.arrived(40, noTimeOutMs);
    const times = path.sent.filter(({ number }) => number === 3).map(({ atMs }) => atMs);
    expect(times).toHaveLength(3);
    expect(times[2]).toBeLessThanOrEqual(62);
    expect(path.retransmitted).toHaveLength(2);
  });

  test("is nothing, where segments overtake each other by less than a quarter of a round trip", async () => {
    const path = await opened();
    path.fate = ({ number }) => (number % 3 === 0 ? 4 : 0);
    for (let round = 0; round < 20; round += 1) {
      path.restart();
      path.send(3);
      await path.arrived(3, noTimeOutMs);
      await path.clock.advance(30);
      expect(path.retransmitted).toEqual([]);
    }
    // Now that reordering was seen, even three that overtake prove nothing.
    path.restart();
    path.fate = ({ number }) => (number === 0 ? 4 : 0);
    path.send(10);
    await path.arrived(10, noTimeOutMs);
    await path.clock.advance(100);
    expect(path.retransmitted).toEqual([]);
  });

  test("is nothing, where the acknowledgement of the last comes late: one probe is all", async () => {
    const path = await opened();
    path.fate = ({ number, times }) => (number === 4 && times === 1 ? 120 : 0);
    path.send(5);
    await path.arrived(5, noTimeOutMs);
    await path.clock.advance(1_000);
    expect(path.retransmitted).toHaveLength(1);
    // Both were acknowledged, so no loss is counted: the window is as it was.
    path.restart();
    path.fate = () => 0;
    path.send(40);
    await path.clock.advance(0);
    expect(path.sent.length).toBeGreaterThanOrEqual(10);
  });
});
