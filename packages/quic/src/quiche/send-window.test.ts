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

test("FIN alone needs room for its packet", () => {
  const window = new SendWindow(1350);
  expect(window.hasRoomForFin(100)).toBe(false);
  expect(window.hasRoomForFin(200)).toBe(true);
  for (let count = 0; count < 10; count += 1) {
    window.handed(0);
    window.sent(40);
    window.flushed();
  }
  expect(window.hasRoomForFin(200)).toBe(false);
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
