import { expect, test } from "vitest";
import { KeepAlive } from "./keep-alive.ts";

function keepAlive(isServer = false): { asks: KeepAlive; decrypt: () => void } {
  let received = 0;
  const asks = new KeepAlive({ received: () => received, isServer, silenceMs: 1_000, nowMs: 0 });
  return { asks, decrypt: () => (received += 1) };
}

/** Lets time pass as a driver does, which looks whenever something may be due; gives the times at which it was. */
function pings(
  asks: KeepAlive,
  untilMs: number,
  everyMs = 1,
  at?: (nowMs: number) => void,
  fromMs = 0,
) {
  const times: number[] = [];
  for (let nowMs = fromMs + everyMs; nowMs <= untilMs; nowMs += everyMs) {
    at?.(nowMs);
    if (asks.isDue(nowMs)) times.push(nowMs);
  }
  return times;
}

test("who hears nothing asks after every silence", () => {
  expect(pings(keepAlive().asks, 3_500)).toEqual([1_000, 2_000, 3_000]);
});

test("who hears the other end does not ask", () => {
  const { asks, decrypt } = keepAlive();
  const hear = (nowMs: number): void => {
    if (nowMs % 700 !== 0) return;
    decrypt();
    asks.heard(nowMs);
  };
  expect(pings(asks, 7_000, 1, hear)).toEqual([]);
});

test("the acknowledgement of what was asked puts the next question off by nothing", () => {
  const { asks, decrypt } = keepAlive();
  const answer = (nowMs: number): void => {
    if (nowMs % 1_000 !== 5) return;
    decrypt();
    asks.heard(nowMs);
  };
  expect(pings(asks, 4_500, 1, answer)).toEqual([1_000, 2_000, 3_000, 4_000]);
});

test("the side that was dialled leaves the asking to the other, even where that is late", () => {
  const { asks, decrypt } = keepAlive(true);
  const hear = (nowMs: number): void => {
    if (nowMs % 1_050 !== 0) return;
    decrypt();
    asks.heard(nowMs);
  };
  expect(pings(asks, 10_000, 1, hear)).toEqual([]);
  // And asks itself where it hears nothing more.
  expect(asks.dueMs).toBeLessThan(12_000);
});

test("what cannot be decrypted does not keep a side from asking, and lengthens no silence to more than twice itself", () => {
  const { asks, decrypt } = keepAlive();
  const forge = (nowMs: number): void => asks.heard(nowMs);
  expect(pings(asks, 3_500, 10, forge)).toEqual([1_000, 2_000, 3_000]);
  // Genuine once, forged ever after.
  decrypt();
  expect(pings(asks, 6_500, 10, forge, 3_500)).toEqual([5_000, 6_000]);
});
