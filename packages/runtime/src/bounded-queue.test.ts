import { expect, test } from "vitest";
import { BoundedQueue } from "./bounded-queue.ts";

test("gives items in order, to one who waits and to one who comes later", async () => {
  const queue = new BoundedQueue<number>(3);
  const iterator = queue[Symbol.asyncIterator]();
  const first = iterator.next();
  expect(queue.push(1)).toBe(true);
  expect(queue.length).toBe(0);
  expect(await first).toEqual({ value: 1, done: false });
  queue.push(2);
  queue.push(3);
  expect(await iterator.next()).toEqual({ value: 2, done: false });
  expect(await iterator.next()).toEqual({ value: 3, done: false });
});

test("refuses what exceeds its bound, and keeps nothing of it", () => {
  const queue = new BoundedQueue<string>(2);
  expect([queue.push("a"), queue.push("b"), queue.push("c")]).toEqual([true, true, false]);
  expect(queue.drain()).toEqual(["a", "b"]);
});

test("after its end, gives what is left and then ends", async () => {
  const queue = new BoundedQueue<string>(2);
  queue.push("left");
  queue.end();
  queue.end();
  expect(queue.push("late")).toBe(false);
  const seen: string[] = [];
  for await (const item of queue) seen.push(item);
  expect(seen).toEqual(["left"]);
});

test("its end wakes who waits", async () => {
  const queue = new BoundedQueue<string>(1);
  const waiting = queue[Symbol.asyncIterator]().next();
  queue.end();
  expect(await waiting).toEqual({ value: undefined, done: true });
});

test("drain ends it and hands back what nobody took", async () => {
  const queue = new BoundedQueue<string>(2);
  queue.push("a");
  expect(queue.drain()).toEqual(["a"]);
  expect(queue.drain()).toEqual([]);
  expect(await queue[Symbol.asyncIterator]().next()).toEqual({ value: undefined, done: true });
});

test("can be left and taken up again", async () => {
  const queue = new BoundedQueue<number>(3);
  queue.push(1);
  queue.push(2);
  for await (const item of queue) {
    expect(item).toBe(1);
    break;
  }
  expect(await queue[Symbol.asyncIterator]().next()).toEqual({ value: 2, done: false });
});

test("a second consumer is a defect that is named", async () => {
  const queue = new BoundedQueue<number>(1);
  void queue[Symbol.asyncIterator]().next();
  await expect(async () => queue[Symbol.asyncIterator]().next()).rejects.toMatchObject({
    code: "invariant",
  });
});

test.each([0, -1, NaN])("a bound of %s is refused", (limit) => {
  expect(() => new BoundedQueue(limit)).toThrow("holds nothing");
});
