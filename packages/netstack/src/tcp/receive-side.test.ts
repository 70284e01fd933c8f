import { describe, expect, test } from "vitest";
import { ReceiveSide } from "./receive-side.ts";
import { UnreadLedger } from "./unread-ledger.ts";

/** A receive side whose reader reads when told to. */
class Reading {
  readonly side: ReceiveSide;
  taken = "";
  unread = 0;

  constructor(bufferBytes = 1_000, shift = 0, mss = 100, ledger = new UnreadLedger(Infinity)) {
    this.side = new ReceiveSide(
      {
        take: (bytes) => {
          this.taken += Buffer.from(bytes).toString();
          this.unread += bytes.length;
        },
        unreadBytes: () => this.unread,
      },
      bufferBytes,
      ledger,
    );
    this.side.begin(shift, mss);
  }

  accept(position: number, text: string, fin = false): boolean {
    return this.side.accept(position, Buffer.from(text), fin);
  }
}

describe("the receive side", () => {
  test("finds segments acceptable that touch the window (RFC 9293 §3.10.7.4)", () => {
    const { side } = new Reading(100);
    const cases: [position: number, length: number][] = [
      [1, 0],
      [0, 0],
      [100, 0],
      [101, 0],
      [1, 5],
      [0, 1],
      [0, 2],
      [100, 5],
      [101, 5],
      [-10, 500],
    ];
    expect(cases.map(([position, length]) => side.isAcceptable(position, length))).toEqual([
      true,
      false,
      true,
      false,
      true,
      false,
      true,
      true,
      false,
      true,
    ]);
  });

  test("accepts only an empty segment at the next position while the window is closed", () => {
    const reading = new Reading(4);
    reading.accept(1, "abcd");
    expect(reading.side.advertise()).toBe(0);
    expect([reading.side.isAcceptable(5, 0), reading.side.isAcceptable(5, 1)]).toEqual([
      true,
      false,
    ]);
  });

  test("takes what is new of overlapping segments", () => {
    const reading = new Reading();
    expect(reading.accept(1, "abc")).toBe(true);
    expect(reading.accept(2, "bcde")).toBe(true);
    expect(reading.accept(8, "h")).toBe(false);
    expect(reading.side.hasGaps).toBe(true);
    expect(reading.accept(5, "efg")).toBe(false);
    expect([reading.taken, reading.side.hasGaps, reading.side.next]).toEqual([
      "abcdefgh",
      false,
      9,
    ]);
  });

  test("cuts what lies beyond the window, and FIN with it", () => {
    const reading = new Reading(4);
    reading.accept(1, "abcdef", true);
    expect([reading.taken, reading.side.reachFin()]).toEqual(["abcd", false]);
  });

  test("reaches FIN once, when everything before it has come", () => {
    const reading = new Reading();
    reading.accept(4, "def", true);
    expect(reading.side.reachFin()).toBe(false);
    reading.accept(1, "abc");
    expect([reading.side.reachFin(), reading.side.reachFin()]).toEqual([true, false]);
    expect([reading.taken, reading.side.next]).toEqual(["abcdef", 8]);
  });

  test("takes nothing after FIN", () => {
    const reading = new Reading();
    reading.accept(3, "", true);
    reading.accept(1, "abcd");
    expect([reading.taken, reading.side.reachFin()]).toEqual(["ab", true]);
  });

  test("offers what the reader leaves room for, and takes nothing back (RFC 9293 §3.8.6)", () => {
    const reading = new Reading(1_000);
    expect(reading.side.advertise()).toBe(1_000);
    reading.accept(1, "x".repeat(400));
    expect(reading.side.advertise()).toBe(600);
    reading.unread = 0;
    expect(reading.side.advertise()).toBe(1_000);
    // The reader takes up more than it was offered for: what was told stands.
    reading.unread = 900;
    expect(reading.side.advertise()).toBe(1_000);
  });

  test("opens the window by large steps only (RFC 9293 §3.8.6.2.2)", () => {
    const reading = new Reading(1_000);
    reading.accept(1, "x".repeat(1_000));
    expect(reading.side.advertise()).toBe(0);
    reading.unread -= 199;
    expect([reading.side.owesWindow, reading.side.advertise()]).toEqual([false, 0]);
    reading.unread -= 1;
    expect([reading.side.owesWindow, reading.side.advertise()]).toEqual([true, 200]);
    expect(reading.side.owesWindow).toBe(false);
  });

  test("scales the window, rounded so that its edge never moves back", () => {
    const reading = new Reading(1_000_000, 6);
    reading.side.advertise();
    const { edge } = reading.side;
    for (let position = 1; position < 500; position += 7) {
      reading.accept(position, "1234567");
      expect(reading.side.next + reading.side.advertise() * 64).toBeGreaterThanOrEqual(edge);
    }
  });

  test("offers no more than the header can tell", () => {
    const reading = new Reading(1_000_000, 0);
    expect(reading.side.advertise()).toBe(0xffff);
    expect(reading.side.owesWindow).toBe(false);
  });

  test("offers a small window where the stack keeps too much, opened by small steps, and takes nothing back", () => {
    const ledger = new UnreadLedger(10);
    const reading = new Reading(1_000_000, 6, 65_495, ledger);
    reading.accept(1, "x".repeat(60_000));
    const { edge } = reading.side;
    expect([ledger.isFull, reading.side.advertise() * 64 + reading.side.next >= edge]).toEqual([
      true,
      true,
    ]);
    // Not more than there is: what exceeds it is dropped, and all was counted.
    expect(reading.accept(60_001, "x".repeat(5_000))).toBe(false);
    expect([reading.taken.length, ledger.refused]).toEqual([60_000, 1]);
    // Somebody else's bytes fill the stack now; this reader has read all of its own.
    ledger.add(100);
    reading.unread = 0;
    reading.side.settle();
    expect(ledger.bytes).toBe(100);
    expect(reading.side.owesWindow).toBe(true);
    expect(reading.side.advertise() * 64).toBe(16_384);
    expect(reading.accept(60_001, "x".repeat(16_000))).toBe(true);
  });
});
