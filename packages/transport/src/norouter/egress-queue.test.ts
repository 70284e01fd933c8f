import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { EgressQueue } from "./egress-queue.ts";

/** A packet of a connection, told apart by its ports, that carries its number. */
function packet(flow: number, number: number, bytes = 100): Uint8Array {
  const made = new Uint8Array(bytes);
  made[0] = 0x45;
  made[21] = flow;
  made[24] = number >> 8;
  made[25] = number & 0xff;
  return made;
}

const flowOf = (made: Uint8Array): number => made[21]!;
const numberOf = (made: Uint8Array): number => made[24]! * 256 + made[25]!;

function takeAll(queue: EgressQueue): Uint8Array[] {
  const taken: Uint8Array[] = [];
  while (queue.packets > 0) taken.push(...queue.take(1));
  return taken;
}

describe("EgressQueue", () => {
  test("packets of one connection keep their order, whatever is taken at a time", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(4), fc.integer({ min: 40, max: 65_535 })), { maxLength: 60 }),
        fc.integer({ min: 1, max: 200_000 }),
        (made, atATime) => {
          const queue = new EgressQueue({ maxBytes: 1e9, maxPackets: 1e6 });
          for (const [number, [flow, bytes]] of made.entries()) {
            queue.push(packet(flow, number, bytes));
          }
          const taken: Uint8Array[] = [];
          while (queue.packets > 0) {
            const some = queue.take(atATime);
            expect(some.length).toBeGreaterThan(0);
            taken.push(...some);
          }
          expect(queue.bytes).toBe(0);
          expect(taken.map(numberOf).sort((a, b) => a - b)).toEqual(made.map((_, index) => index));
          for (let flow = 0; flow <= 4; flow += 1) {
            const numbers = taken.filter((one) => flowOf(one) === flow).map(numberOf);
            expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
          }
        },
      ),
    );
  });

  test("a connection with much waiting does not hold up one with little", () => {
    const queue = new EgressQueue({ maxBytes: 1e9, maxPackets: 1e6 });
    for (let number = 0; number < 100; number += 1) queue.push(packet(1, number, 65_535));
    queue.push(packet(2, 0, 60));
    const order = takeAll(queue).map(flowOf);
    expect(order.indexOf(2)).toBeLessThanOrEqual(2);
  });

  test("connections that all have much take turns of as many bytes", () => {
    const queue = new EgressQueue({ maxBytes: 1e9, maxPackets: 1e6 });
    for (let number = 0; number < 1_000; number += 1) {
      queue.push(packet(1, number, 60_000));
      queue.push(packet(2, number, 6_000));
    }
    const bytes = { 1: 0, 2: 0 };
    for (const one of queue.take(3_000_000)) bytes[flowOf(one) as 1 | 2] += one.length;
    expect(Math.abs(bytes[1] - bytes[2])).toBeLessThan(200_000);
  });

  test.each([
    { name: "bytes", limits: { maxBytes: 10_000, maxPackets: 1e6 } },
    { name: "packets", limits: { maxBytes: 1e9, maxPackets: 100 } },
  ])("beyond its $name the longest loses its oldest, and each loss is counted", ({ limits }) => {
    const queue = new EgressQueue(limits);
    queue.push(packet(2, 0));
    for (let number = 0; number < 500; number += 1) queue.push(packet(1, number));
    expect(queue.packets).toBe(100);
    expect(queue.bytes).toBe(10_000);
    expect(queue.droppedPackets).toBe(401);
    const taken = takeAll(queue);
    expect(taken.filter((one) => flowOf(one) === 2)).toHaveLength(1);
    expect(numberOf(taken.filter((one) => flowOf(one) === 1)[0]!)).toBe(401);
  });

  test("what is forgotten is not sent, and the queue goes on", () => {
    const queue = new EgressQueue({ maxBytes: 1e9, maxPackets: 1e6 });
    queue.push(packet(1, 0));
    queue.clear();
    expect([queue.packets, queue.bytes, queue.take(1_000)]).toEqual([0, 0, []]);
    queue.push(packet(1, 7));
    expect(takeAll(queue).map(numberOf)).toEqual([7]);
  });

  test("what is too short to name its connection is sent like anything else", () => {
    const queue = new EgressQueue({ maxBytes: 1e9, maxPackets: 1e6 });
    queue.push(new Uint8Array(0));
    queue.push(Uint8Array.of(0x45));
    expect(takeAll(queue).map(({ length }) => length)).toEqual([0, 1]);
  });

  test("ever new connections leave nothing behind beyond its bound", () => {
    const queue = new EgressQueue({ maxBytes: 1e9, maxPackets: 100 });
    for (let key = 1; key <= 5_000; key += 1) queue.push(packet(key, key));
    expect([queue.packets, queue.flows, queue.droppedPackets]).toEqual([100, 100, 4_900]);
    expect(takeAll(queue)).toHaveLength(100);
  });
});
