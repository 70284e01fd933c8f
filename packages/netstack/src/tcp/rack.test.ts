import { describe, expect, test } from "vitest";
import { Rack } from "./rack.ts";
import { SentSegments } from "./sent-segments.ts";

/** Ten segments of ten positions, sent at once, and a round trip of 100 ms that is known. */
class Flight {
  readonly segments = new SentSegments();
  readonly rack = new Rack();
  nowMs = 1_000;
  isRecovering = false;

  constructor() {
    this.segments.add(0, 1, this.nowMs - 100);
    this.acknowledge(1);
    for (let index = 0; index < 10; index += 1) {
      this.segments.add(1 + index * 10, 11 + index * 10, this.nowMs);
    }
  }

  acknowledge(position: number): void {
    this.segments.acknowledge(position, (each) => this.rack.delivered(each, this.nowMs, undefined));
  }

  hold(...numbers: number[]): void {
    for (const number of numbers) {
      const start = 1 + number * 10;
      this.segments.hold(
        start,
        start + 10,
        () => true,
        (each) => this.rack.delivered(each, this.nowMs, undefined),
      );
    }
  }

  /** Numbers of those lost now, and when to look again. */
  look(): [number[], number] {
    const { isRecovering, nowMs } = this;
    const atMs = this.rack.findLost(this.segments, { smoothedMs: 100, isRecovering }, nowMs);
    const lost: number[] = [];
    for (;;) {
      const { nextLost } = this.segments;
      if (nextLost === undefined) return [lost, atMs];
      lost.push((nextLost.start - 1) / 10);
      this.segments.sendAgain(nextLost, this.nowMs);
    }
  }
}

describe("losses found by time (RFC 8985 §6)", () => {
  test("a gap is given a quarter of the least round trip to be filled", () => {
    const flight = new Flight();
    flight.nowMs += 100;
    flight.hold(1);
    expect(flight.look()).toEqual([[], 1_125]);
    flight.nowMs = 1_125;
    expect(flight.look()).toEqual([[0], Infinity]);
  });

  test("a gap with three segments beyond it is a loss at once, where no reordering was seen", () => {
    const flight = new Flight();
    flight.nowMs += 100;
    flight.hold(2, 3, 4);
    expect(flight.look()).toEqual([[0, 1], Infinity]);
  });

  test("where reordering was seen three segments prove nothing", () => {
    const flight = new Flight();
    flight.nowMs += 100;
    flight.hold(1);
    flight.hold(0);
    flight.hold(3, 4, 5);
    expect(flight.look()).toEqual([[], 1_125]);
  });

  test("reordering in recovery is not waited for, where none was seen", () => {
    const flight = new Flight();
    flight.isRecovering = true;
    flight.nowMs += 100;
    flight.hold(1);
    expect(flight.look()).toEqual([[0], Infinity]);
  });

  test("a retransmission is lost when something sent after it has arrived", () => {
    const flight = new Flight();
    flight.nowMs += 100;
    flight.hold(1, 2, 3);
    expect(flight.look()).toEqual([[0], Infinity]);
    flight.isRecovering = true;
    flight.nowMs += 1;
    flight.segments.add(101, 111, flight.nowMs);
    flight.nowMs += 100;
    flight.hold(4, 5, 6, 7, 8, 9);
    expect(flight.look()[0]).toEqual([]);
    flight.hold(10);
    expect(flight.look()[0]).toEqual([0]);
  });

  test("what arrives sooner after its repetition than any round trip is the first transmission", () => {
    const flight = new Flight();
    flight.nowMs += 100;
    flight.hold(1, 2, 3);
    flight.look();
    flight.nowMs += 1;
    flight.segments.add(101, 111, flight.nowMs - 100);
    flight.nowMs += 10;
    flight.isRecovering = true;
    flight.hold(0);
    // Were it the repetition, everything sent before it would be lost.
    expect(flight.look()[0]).toEqual([]);
  });

  test("the time given grows with each round trip in which something came twice, for sixteen recoveries", () => {
    const flight = new Flight();
    flight.nowMs += 100;
    flight.hold(1);
    flight.hold(0);
    flight.rack.receivedTwice(1, 101);
    flight.rack.receivedTwice(50, 101);
    flight.hold(3);
    expect(flight.look()).toEqual([[], 1_150]);
    for (let count = 0; count < 15; count += 1) flight.rack.recovered();
    expect(flight.look()).toEqual([[], 1_150]);
    flight.rack.recovered();
    expect(flight.look()).toEqual([[], 1_125]);
  });

  test("nothing is lost before anything has arrived", () => {
    const segments = new SentSegments();
    segments.add(1, 11, 0);
    const state = { smoothedMs: 0, isRecovering: false };
    expect(new Rack().findLost(segments, state, 1e6)).toBe(Infinity);
  });
});
