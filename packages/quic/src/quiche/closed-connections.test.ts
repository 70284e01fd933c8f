import { expect, test } from "vitest";
import { ClosedConnections } from "./closed-connections.ts";

const words = Buffer.alloc(60, 1);

test("the last words are said again to the first datagram, the second, the fourth, by any of the ids", () => {
  const closed = new ClosedConnections();
  closed.add(["a", "b"], words, 0);
  const answers = Array.from({ length: 9 }, (_, n) =>
    closed.answer(n % 2 === 0 ? "a" : "b", 40, 1),
  );
  expect(answers.map((answer) => answer === words)).toEqual(
    [1, 2, 3, 4, 5, 6, 7, 8, 9].map((n) => [1, 2, 4, 8].includes(n)),
  );
  expect(answers[2]).toBe("nothing");
});

test("a datagram far smaller than the words gets none, and stays unanswered", () => {
  const closed = new ClosedConnections();
  closed.add(["a"], words, 0);
  expect(closed.answer("a", 19, 1)).toBe("nothing");
  expect(closed.answer("a", 20, 1)).toBe(words);
});

test("what nobody closed, or closed long ago, is not known", () => {
  const closed = new ClosedConnections();
  closed.add(["a"], words, 0);
  expect(closed.answer("b", 40, 1)).toBeUndefined();
  expect(closed.answer("a", 40, 2_999)).toBe(words);
  expect(closed.answer("a", 40, 3_000)).toBeUndefined();
});

test("of very many the oldest are forgotten", () => {
  const closed = new ClosedConnections();
  for (let count = 0; count <= 512; count += 1) closed.add([`${count}`], words, 0);
  expect(closed.answer("0", 40, 1)).toBeUndefined();
  expect(closed.answer("1", 40, 1)).toBe(words);
  expect(closed.answer("512", 40, 1)).toBe(words);
});
