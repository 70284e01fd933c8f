import { describe, expect, test } from "vitest";
import { LossRecovery } from "./loss-recovery.ts";

const mss = 100;
const sentEnd = 1_001;

/** Ten segments are under way, from position 1 on. */
class Flight {
  readonly recovery: LossRecovery;
  acknowledged = 1;

  constructor(sackAllowed: boolean) {
    this.recovery = new LossRecovery(0, mss, sackAllowed);
  }

  /** An acknowledgement of segments 0 to `whole`, with those of `sacked` reported. */
  acknowledge(whole: number, sacked: readonly number[] = []): boolean {
    const position = 1 + whole * mss;
    const advancedBytes = position - this.acknowledged;
    this.acknowledged = position;
    return this.recovery.acknowledge({
      acknowledged: position,
      sentEnd,
      advancedBytes,
      duplicate: advancedBytes === 0,
      sack: sacked.map((index) => ({ start: 1 + index * mss, end: 1 + (index + 1) * mss })),
    });
  }

  /** The number of the segment that is to be sent again now; marks it as sent. */
  again(): number | undefined {
    const lost = this.recovery.nextLost(this.acknowledged, mss);
    if (lost === undefined) return undefined;
    expect(lost.end - lost.start).toBe(mss);
    this.recovery.retransmitted(lost);
    return (lost.start - 1) / mss;
  }

  get pipe(): number {
    return this.recovery.pipeBytes(this.acknowledged, sentEnd) / mss;
  }
}

describe("recovery by SACK (RFC 6675)", () => {
  test("begins when three segments beyond a gap have arrived, once", () => {
    const flight = new Flight(true);
    expect(flight.acknowledge(2, [3])).toBe(false);
    expect(flight.acknowledge(2, [3, 4])).toBe(false);
    expect(flight.again()).toBeUndefined();
    expect(flight.acknowledge(2, [3, 4, 5])).toBe(true);
    expect(flight.acknowledge(2, [3, 4, 5, 6])).toBe(false);
  });

  test("sends every gap again that is lost, and none twice", () => {
    const flight = new Flight(true);
    flight.acknowledge(1, [2, 4, 6, 7, 8]);
    expect([flight.again(), flight.again(), flight.again(), flight.again()]).toEqual([
      1,
      3,
      5,
      undefined,
    ]);
    flight.acknowledge(1, [2, 4, 6, 7, 8]);
    expect(flight.again()).toBeUndefined();
  });

  test("counts what is under way: not what is held, nor what is lost, but what was sent again", () => {
    const flight = new Flight(true);
    expect(flight.pipe).toBe(10);
    flight.acknowledge(1, [2]);
    expect(flight.pipe).toBe(8);
    flight.acknowledge(1, [2, 3, 4]);
    // Lost: 1. Held: 2, 3, 4. Under way: 5 to 9.
    expect(flight.pipe).toBe(5);
    flight.again();
    expect(flight.pipe).toBe(6);
  });

  test("ends when all that was under way at its beginning is acknowledged", () => {
    const flight = new Flight(true);
    flight.acknowledge(1, [2, 3, 4]);
    flight.acknowledge(5);
    expect(flight.recovery.mode).toBe("fast");
    flight.acknowledge(10);
    expect(flight.recovery.mode).toBe("none");
  });

  test("repeats acknowledgements that tell nothing new without effect", () => {
    const flight = new Flight(true);
    for (let count = 0; count < 5; count += 1) expect(flight.acknowledge(1, [3])).toBe(false);
  });

  test("sends the last segment again once when nothing else is left to do", () => {
    const flight = new Flight(true);
    flight.acknowledge(0, [1, 2, 3]);
    flight.again();
    const suspect = () => flight.recovery.nextSuspect(flight.acknowledged, sentEnd, mss);
    expect(suspect()).toEqual({ start: sentEnd - mss, end: sentEnd });
    expect(suspect()).toBeUndefined();
  });
});

describe("recovery without SACK (RFC 6582)", () => {
  test("begins with the third duplicate, and sends one segment again", () => {
    const flight = new Flight(false);
    flight.acknowledge(2);
    expect([flight.acknowledge(2), flight.acknowledge(2)]).toEqual([false, false]);
    expect(flight.acknowledge(2)).toBe(true);
    expect([flight.again(), flight.again()]).toEqual([2, undefined]);
  });

  test("takes each duplicate for a segment that has left the network (RFC 3042)", () => {
    const flight = new Flight(false);
    flight.acknowledge(2);
    expect(flight.pipe).toBe(8);
    flight.acknowledge(2);
    expect(flight.pipe).toBe(7);
  });

  test("sends the next gap again on a partial acknowledgement", () => {
    const flight = new Flight(false);
    for (let count = 0; count < 4; count += 1) flight.acknowledge(1);
    expect(flight.again()).toBe(1);
    expect(flight.acknowledge(4)).toBe(false);
    expect(flight.again()).toBe(4);
    flight.acknowledge(10);
    expect(flight.recovery.mode).toBe("none");
  });
});

describe("recovery after a time-out", () => {
  test("sends everything again that is not known to be held", () => {
    const flight = new Flight(true);
    flight.acknowledge(1, [3]);
    flight.recovery.timedOut(flight.acknowledged, sentEnd);
    expect(flight.pipe).toBe(0);
    const again = Array.from({ length: 9 }, () => flight.again());
    expect(again).toEqual([1, 2, 4, 5, 6, 7, 8, 9, undefined]);
  });

  test("forgets what is held at the second in a row (RFC 2018 §8)", () => {
    const flight = new Flight(true);
    flight.acknowledge(1, [3]);
    flight.recovery.timedOut(flight.acknowledged, sentEnd);
    flight.recovery.timedOut(flight.acknowledged, sentEnd);
    const again = Array.from({ length: 4 }, () => flight.again());
    expect(again).toEqual([1, 2, 3, 4]);
  });

  test("begins no fast recovery of its own", () => {
    const flight = new Flight(true);
    flight.recovery.timedOut(flight.acknowledged, sentEnd);
    expect(flight.acknowledge(1, [3, 4, 5, 6])).toBe(false);
    expect(flight.recovery.mode).toBe("timeout");
  });
});
