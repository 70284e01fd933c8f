import fc from "fast-check";
import { expect, test } from "vitest";
import { positionNear, wireSequence } from "./sequence.ts";

test("a position comes back from the wire, however often sequence numbers have wrapped", () => {
  const initial = fc.integer({ min: 0, max: 0xffff_ffff });
  const near = fc.integer({ min: 2 ** 31, max: 2 ** 45 });
  const offset = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
  fc.assert(
    fc.property(initial, near, offset, (start, position, distance) => {
      const wire = wireSequence(start, position + distance);
      expect(wire).toBeGreaterThanOrEqual(0);
      expect(wire).toBeLessThan(2 ** 32);
      expect(positionNear(start, wire, position)).toBe(position + distance);
    }),
  );
});
