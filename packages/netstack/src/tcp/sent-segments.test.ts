import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SentSegments, type SentSegment } from "./sent-segments.ts";

/** Segments of ten positions, sent at times 0, 1, 2 and so on. */
function sent(count: number): SentSegments {
  const segments = new SentSegments();
  for (let index = 0; index < count; index += 1) {
    segments.add(1 + index * 10, 11 + index * 10, index);
  }
  return segments;
}

function none(): void {
  // Whom it concerns is not asked here.
}

function bySending(segments: SentSegments): number[] {
  const starts: number[] = [];
  for (let each = segments.earliest; each !== undefined; each = each.later) starts.push(each.start);
  return starts;
}

describe("what is under way", () => {
  test("is delivered by acknowledgements, in order, and what was held before is not told again", () => {
    const segments = sent(4);
    const delivered: number[] = [];
    const tell = ({ start }: SentSegment): void => void delivered.push(start);
    segments.hold(11, 21, () => false, tell);
    segments.acknowledge(31, tell);
    expect(delivered).toEqual([11, 1, 21]);
    expect([segments.count, segments.flyingBytes, segments.heldCount]).toEqual([1, 10, 0]);
  });

  test("is acknowledged in parts too", () => {
    const segments = sent(2);
    segments.acknowledge(4, none);
    expect([segments.first?.start, segments.flyingBytes]).toEqual([4, 17]);
  });

  test("is held only as a whole", () => {
    const segments = sent(3);
    segments.hold(5, 21, () => false, none);
    expect(segments.heldCount).toBe(1);
    segments.hold(1, 5, () => true, none);
    expect(segments.heldCount).toBe(2);
  });

  test("flies on as the latest when it is sent again", () => {
    const segments = sent(3);
    const { first } = segments;
    segments.lose(first!);
    expect([bySending(segments), segments.flyingBytes]).toEqual([[11, 21], 20]);
    expect(segments.nextLost).toBe(first);
    segments.sendAgain(first!, 9);
    expect([bySending(segments), segments.flyingBytes]).toEqual([[11, 21, 1], 30]);
    expect(segments.nextLost).toBeUndefined();
  });

  test("is not sent again when it turns out to have arrived", () => {
    const segments = sent(3);
    segments.lose(segments.first!);
    segments.hold(1, 11, () => true, none);
    expect([segments.nextLost, segments.flyingBytes]).toEqual([undefined, 20]);
  });

  test("is cut in two wherever it is", () => {
    const segments = sent(2);
    segments.split(segments.last!, 15);
    expect([bySending(segments), segments.count]).toEqual([[1, 11, 15], 3]);
    segments.lose(segments.first!);
    segments.split(segments.first!, 3);
    const [one, other] = [segments.nextLost!, segments.nextLost!];
    expect(one).toBe(other);
    segments.sendAgain(one, 5);
    expect([one.end, segments.nextLost?.start]).toEqual([3, 3]);
    expect(segments.flyingBytes).toBe(12);
  });

  test("is what a plain list would say, whatever happens to it", () => {
    const step = fc.record({
      kind: fc.constantFrom("add", "hold", "ack", "lose", "again", "split", "all", "forget"),
      at: fc.nat(400),
      length: fc.integer({ min: 1, max: 40 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const segments = new SentSegments();
        let end = 1;
        let acknowledged = 1;
        let nowMs = 0;
        for (const { kind, at, length } of steps) {
          nowMs += 1;
          const flying = flyingOf(segments);
          const one = flying[at % Math.max(1, flying.length)];
          if (kind === "add") segments.add(end, (end += length), nowMs);
          else if (kind === "hold") segments.hold(at, at + length, () => false, none);
          else if (kind === "all") segments.loseAll(({ start }) => start % 2 === 0);
          else if (kind === "forget") segments.forgetHeld();
          else if (kind === "lose" && one !== undefined) segments.lose(one);
          else if (kind === "split" && one !== undefined && one.end - one.start > 1)
            segments.split(one, one.start + 1);
          else if (kind === "again" && segments.nextLost !== undefined)
            segments.sendAgain(segments.nextLost, nowMs);
          else if (kind === "ack") {
            acknowledged = Math.max(acknowledged, Math.min(at, end));
            segments.acknowledge(acknowledged, none);
          }
          const now = flyingOf(segments);
          const bytes = now.reduce((sum, each) => sum + each.end - each.start, 0);
          expect(segments.flyingBytes).toBe(bytes);
          expect(now.every((each) => each.state === "flying")).toBe(true);
          expect(segments.first?.start ?? end).toBe(segments.count === 0 ? end : acknowledged);
          if (segments.nextLost !== undefined)
            expect(segments.nextLost.end > acknowledged).toBe(true);
        }
      }),
    );
  });
});

function flyingOf(segments: SentSegments): SentSegment[] {
  const flying: SentSegment[] = [];
  for (let each = segments.earliest; each !== undefined; each = each.later) flying.push(each);
  return flying;
}
