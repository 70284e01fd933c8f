import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { LineSplitter } from "./line-splitter.ts";

function linesOf(pieces: readonly Buffer[], maxLength = 20): string[] {
  const lines: string[] = [];
  const splitter = new LineSplitter(maxLength, (line) => void lines.push(line));
  for (const piece of pieces) splitter.push(piece);
  splitter.end();
  return lines;
}

describe("LineSplitter", () => {
  test("lines are told without their ends, empty ones not at all", () => {
    expect(linesOf([Buffer.from("one\r\n\ntwo\nthr"), Buffer.from("ee")])).toEqual([
      "one",
      "two",
      "three",
    ]);
  });

  test("what is too long is cut once, and the next line is whole again", () => {
    const long = "x".repeat(50);
    expect(linesOf([Buffer.from(`${long}${long}\nshort\n`)])).toEqual([
      `${"x".repeat(20)}…`,
      "short",
    ]);
  });

  test("a line without end takes no more memory than its bound", () => {
    const lines: string[] = [];
    const splitter = new LineSplitter(10, (line) => void lines.push(line));
    for (let count = 0; count < 1_000; count += 1) splitter.push(Buffer.alloc(1_000, "y"));
    expect(lines).toEqual(["yyyyyyyyyy…"]);
  });

  test("nothing moves the cursor of whoever reads", () => {
    expect(linesOf([Buffer.from("\u001b[2Jgone\u0007\n")])).toEqual(["?[2Jgone?"]);
  });

  test("however the bytes are cut, the lines are the same", () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ maxLength: 30, unit: "grapheme" }), { maxLength: 10 }),
        fc.integer({ min: 1, max: 9 }),
        (texts, pieceBytes) => {
          const whole = Buffer.from(texts.join("\n"));
          const pieces: Buffer[] = [];
          for (let at = 0; at < whole.length; at += pieceBytes) {
            pieces.push(whole.subarray(at, at + pieceBytes));
          }
          expect(linesOf(pieces)).toEqual(linesOf([whole]));
        },
      ),
    );
  });
});
