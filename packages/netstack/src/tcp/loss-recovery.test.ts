import { describe, expect, test } from "vitest";
import { LossRecovery } from "./loss-recovery.ts";

const mss = 100;
const sentEnd = 1_001;
const smoothedMs = 50;

/** Ten segments are under way since the time 0, from position 1 on; acknowledgements come after one round trip. */
class Flight {
  readonly recovery: LossRecovery;
  acknowledged = 1;
  nowMs = 50;

  constructor(sackAllowed: boolean) {
    this.recovery = new LossRecovery({ initial: 0, segmentBytes: mss, sackAllowed });
    for (let start = 1; start < sentEnd; start += mss) {
      this.recovery.segments.add(start, start + mss, 0);
    }
  }

  /** An acknowledgement of segments 0 to `whole`, with those of `sacked` reported. */
  acknowledge(whole: number, sacked: readonly number[] = []): boolean {
    const position = 1 + whole * mss;
    const blocks = sacked.map((index) => ({ start: 1 + index * mss, end: 1 + (index + 1) * mss }));
    const advancedBytes = position - this.acknowledged;
    this.acknowledged = position;
    return this.recovery.acknowledge(
      {
        acknowledged: position,
        sentEnd,
        advancedBytes,
        duplicate: advancedBytes === 0,
        sack: blocks.length === 0 ? undefined : blocks,
        echoedMs: undefined,
        smoothedMs,
      },
      this.nowMs,
    );
  }

  timeOut(): void {
    this.nowMs += 1_000;
    this.recovery.timedOut(sentEnd, smoothedMs, this.nowMs);
  }

  /** The number of the segment that is to be sent again now; marks it as sent. */
  again(): number | undefined {
    const lost = this.recovery.nextLost(mss);
    if (lost === undefined) return undefined;
    expect(lost.end - lost.start).toBe(mss);
    this.recovery.sentAgain(lost, this.nowMs);
    return (lost.start - 1) / mss;
  }

  get pipe(): number {
    return this.recovery.pipeBytes / mss;
  }
}

describe("recovery by SACK (RFC 6675, RFC 8985)", () => {
  test("begins when three segments beyond a gap have arrived, once", () => {
    const flight = new Flight(true);
    expect(flight.acknowledge(2, [3])).toBe(false);
    expect(flight.acknowledge(2, [3, 4])).toBe(false);
    expect(flight.again()).toBeUndefined();
    expect(flight.acknowledge(2, [3, 4, 5])).toBe(true);
    expect(flight.acknowledge(2, [3, 4, 5, 6])).toBe(false);
  });

  test("begins with one segment beyond a gap, when it has not been filled for long enough", () => {
    const flight = new Flight(true);
    flight.acknowledge(2, [3]);
    expect(flight.recovery.lookAtMs).toBe(62.5);
    expect(flight.recovery.look(sentEnd, smoothedMs, 62)).toBe(false);
    expect(flight.recovery.look(sentEnd, smoothedMs, 62.5)).toBe(true);
    expect(flight.again()).toBe(2);
  });

  test("sends every gap again that is lost, and none twice", () => {
    const flight = new Flight(true);
    flight.acknowledge(1, [2, 4, 6, 7, 8]);
    const again = [flight.again(), flight.again(), flight.again(), flight.again()];
    expect(again).toEqual([1, 3, 5, undefined]);
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

  test("sends in pieces what no longer fits into a segment", () => {
    const flight = new Flight(true);
    flight.acknowledge(1, [2, 3, 4]);
    const first = flight.recovery.nextLost(60)!;
    expect([first.start, first.end]).toEqual([101, 161]);
    flight.recovery.sentAgain(first, flight.nowMs);
    const second = flight.recovery.nextLost(60)!;
    expect([second.start, second.end]).toEqual([161, 201]);
  });
});

describe("the last that was sent", () => {
  test("is cut where less is to be sent again, and flies on as a whole", () => {
    const flight = new Flight(true);
    const last = flight.recovery.lastSent(60)!;
    expect([last.start, last.end]).toEqual([sentEnd - 60, sentEnd]);
    flight.recovery.sentAgain(last, flight.nowMs);
    expect(flight.pipe).toBe(10);
    expect(flight.recovery.lastSent(60)).toBe(last);
  });
});

describe("recovery from a peer that agreed to SACK and reports nothing, as some do once they have sent FIN", () => {
  test("begins with the third duplicate, and fills gap by gap", () => {
    const flight = new Flight(true);
    flight.acknowledge(1);
    expect([flight.acknowledge(1), flight.acknowledge(1)]).toEqual([false, false]);
    expect(flight.acknowledge(1)).toBe(true);
    expect([flight.again(), flight.again()]).toEqual([1, undefined]);
    expect(flight.pipe).toBe(6);
    // What was sent again has arrived. Without reports that says nothing of what was sent before it.
    flight.nowMs += 50;
    expect(flight.acknowledge(4)).toBe(false);
    expect([flight.again(), flight.again()]).toEqual([4, undefined]);
    flight.acknowledge(10);
    expect(flight.recovery.mode).toBe("none");
  });

  test("follows reports again when there are some", () => {
    const flight = new Flight(true);
    flight.acknowledge(1);
    flight.acknowledge(1);
    flight.acknowledge(1);
    expect(flight.acknowledge(1, [3, 4, 5])).toBe(true);
    expect([flight.again(), flight.again(), flight.again()]).toEqual([1, 2, undefined]);
    // Held: 3, 4 and 5.
    expect(flight.pipe).toBe(6);
  });

  test("takes duplicates that its own needless repetitions provoke for none (RFC 6582 §3.2 step 1)", () => {
    const flight = new Flight(true);
    flight.timeOut();
    while (flight.again() !== undefined);
    flight.acknowledge(10);
    flight.recovery.segments.add(sentEnd, sentEnd + mss, flight.nowMs);
    for (let count = 0; count < 5; count += 1) expect(flight.acknowledge(10)).toBe(false);
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

  test("counts those less that a partial acknowledgement says have arrived (RFC 6582 §3.2 step 3)", () => {
    const flight = new Flight(false);
    for (let count = 0; count < 6; count += 1) flight.acknowledge(1);
    flight.again();
    // Nine under way, less five duplicates.
    expect(flight.pipe).toBe(4);
    flight.acknowledge(4);
    // Five under way, and one that is lost; three segments were acknowledged, of which two had been duplicates.
    expect(flight.pipe).toBe(2);
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

  test("takes no reports that were not agreed on", () => {
    const flight = new Flight(false);
    flight.acknowledge(1, [2, 3, 4, 5]);
    expect([flight.recovery.segments.heldCount, flight.again()]).toEqual([0, undefined]);
  });
});

describe("recovery after a time-out", () => {
  test("sends everything again that is not known to be held", () => {
    const flight = new Flight(true);
    flight.acknowledge(1, [3]);
    flight.timeOut();
    expect(flight.pipe).toBe(0);
    const again = Array.from({ length: 9 }, () => flight.again());
    expect(again).toEqual([1, 2, 4, 5, 6, 7, 8, 9, undefined]);
  });

  test("leaves alone, with SACK, what was sent just now (RFC 8985 §6.3)", () => {
    const flight = new Flight(true);
    flight.acknowledge(1, [3]);
    flight.recovery.segments.add(sentEnd, sentEnd + mss, 1_040);
    flight.timeOut();
    expect(flight.pipe).toBe(1);
  });

  test("forgets what is held at the second in a row (RFC 2018 §8)", () => {
    const flight = new Flight(true);
    flight.acknowledge(1, [3]);
    flight.timeOut();
    flight.timeOut();
    const again = Array.from({ length: 4 }, () => flight.again());
    expect(again).toEqual([1, 2, 3, 4]);
  });

  test("remembers what is held at a second one that comes after progress", () => {
    const flight = new Flight(true);
    flight.acknowledge(1, [3]);
    flight.timeOut();
    flight.acknowledge(2, [3]);
    flight.timeOut();
    const again = Array.from({ length: 3 }, () => flight.again());
    expect(again).toEqual([2, 4, 5]);
  });

  test("begins no fast recovery of its own", () => {
    const flight = new Flight(true);
    flight.timeOut();
    expect(flight.acknowledge(1, [3, 4, 5, 6])).toBe(false);
    expect(flight.recovery.mode).toBe("timeout");
  });
});
