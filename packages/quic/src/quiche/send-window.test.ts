import fc from "fast-check";
import { expect, test } from "vitest";
import { SendWindow } from "./send-window.ts";

test("what is handed over leaves room for headers and tags", () => {
  const window = new SendWindow(1350);
  const room = window.room(13_500, 1_000_000);
  expect(room).toBeLessThan(13_500);
  expect(room + window.datagramsFor(room) * 60).toBeLessThanOrEqual(13_500);
});

test("a small write goes whole or not at all", () => {
  const window = new SendWindow(1350);
  expect(window.room(10_000, 10)).toBe(10);
  expect(window.room(300, 1_000)).toBe(0);
  expect(window.room(10, 100)).toBe(0);
});

test("retransmissions use up room until the peer is heard", () => {
  const window = new SendWindow(1350);
  window.sent(1350);
  window.sent(1350);
  expect(window.room(3_000, 2_000)).toBe(0);
  window.heard();
  expect(window.room(3_000, 2_000)).toBe(2_000);
});

test("bytes that could not be sent take room until they have left", () => {
  const window = new SendWindow(1350);
  expect(window.room(4_000, 3_000)).toBe(3_000);
  window.handed(3_000);
  // A retransmission took the window instead.
  window.sent(3_900);
  window.flushed();
  expect(window.isDrained(1_000)).toBe(false);
  window.heard();
  expect(window.mayHoldUnsent).toBe(true);
  expect(window.room(3_500, 1_000)).toBe(0);
  window.sent(3_200);
  window.flushed();
  expect(window.isDrained(3_500)).toBe(true);
  window.heard();
  expect(window.room(3_500, 1_000)).toBe(1_000);
});

test("it is drained only when flushed, and with room for one more packet", () => {
  const window = new SendWindow(1350);
  expect(window.isDrained(100)).toBe(false);
  window.flushed();
  expect(window.isDrained(100)).toBe(false);
  expect(window.isDrained(200)).toBe(true);
  window.handed(0);
  expect(window.isDrained(200)).toBe(false);
  window.sent(40);
  window.flushed();
  expect(window.isDrained(200)).toBe(true);
  window.handed(0);
  window.sent(40);
  window.flushed();
  expect(window.isDrained(200)).toBe(false);
  window.heard();
  expect(window.isDrained(10_000)).toBe(false);
});

test("where nothing is in flight an end and its copies fit, whatever flow control leaves", () => {
  const window = new SendWindow(1350);
  window.lossy();
  window.sent(40);
  window.flushed();
  expect(window.isDrained(200, 4)).toBe(false);
  window.nothingInFlight();
  expect(window.isDrained(200, 4)).toBe(true);
  window.heard();
  window.flushed();
  expect(window.isDrained(200, 4)).toBe(false);
});

test("after a loss a sent byte counts twice", () => {
  const window = new SendWindow(1350);
  window.lossy();
  window.sent(1_000);
  window.flushed();
  expect(window.isDrained(2_100)).toBe(false);
  expect(window.isDrained(2_200)).toBe(true);
});

test("a window that shrank is closed until the peer is heard", () => {
  const window = new SendWindow(1350);
  window.shrunk();
  window.flushed();
  expect(window.room(100_000, 10)).toBe(0);
  expect(window.isDrained(100_000)).toBe(false);
  window.heard();
  expect(window.room(100_000, 10)).toBe(10);
});

test("whatever is handed over in a turn fits the congestion window, packets and all", () => {
  const headerBytes = 60;
  fc.assert(
    fc.property(
      fc.constantFrom(1200, 1350, 16_383),
      fc.integer({ min: 0, max: 2_000_000 }),
      fc.array(fc.integer({ min: 1, max: 100_000 }), { maxLength: 50 }),
      (datagramBytes, windowBytes, writes) => {
        const window = new SendWindow(datagramBytes);
        let capacity = windowBytes;
        let wireBytes = 0;
        for (const bytes of writes) {
          const taken = window.room(capacity, bytes);
          expect(taken).toBeGreaterThanOrEqual(0);
          if (taken === 0) continue;
          window.handed(taken);
          capacity -= taken;
          wireBytes += taken + Math.ceil(taken / (datagramBytes - headerBytes)) * headerBytes;
        }
        expect(wireBytes).toBeLessThanOrEqual(windowBytes);
      },
    ),
  );
});

test("a loss is forgotten when the path has been calm", () => {
  const window = new SendWindow(1350);
  const roomAfterSending = (): number => {
    window.heard();
    window.room(20_000, 0);
    window.sent(5_000);
    return window.room(20_000, 20_000);
  };
  const before = roomAfterSending();
  window.lossy();
  expect(window.isLossy).toBe(true);
  expect(roomAfterSending()).toBeLessThan(before);
  window.calm();
  expect(window.isLossy).toBe(false);
  expect(roomAfterSending()).toBe(before);
});
