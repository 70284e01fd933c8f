import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LineSplitter } from "./line-splitter.ts";

function split(chunks: readonly Uint8Array[], maxLength?: number): string[] {
  const lines: string[] = [];
  const splitter = new LineSplitter((line) => lines.push(line), maxLength);
  for (const chunk of chunks) splitter.push(chunk);
  splitter.end();
  return lines;
}

describe("LineSplitter", () => {
  it("gives the same lines however the bytes are split", () => {
    const text = "ä line\r\n\nanother — one\nno end";
    const bytes = Buffer.from(text);
    fc.assert(
      fc.property(fc.array(fc.nat(bytes.length)), (cuts) => {
        const places = [0, ...cuts.sort((a, b) => a - b), bytes.length];
        const chunks = places.slice(1).map((end, index) => bytes.subarray(places[index], end));
        expect(split(chunks)).toEqual(["ä line", "another — one", "no end"]);
      }),
    );
  });

  it("keeps no more than a line's bound", () => {
    expect(split([Buffer.from("abcdefgh\nxy"), Buffer.from("z")], 3)).toEqual([
      ...["abc", "def", "gh", "xyz"],
    ]);
    const lines: string[] = [];
    const splitter = new LineSplitter((line) => lines.push(line), 3);
    splitter.push(Buffer.alloc(100, "a"));
    expect(lines).toHaveLength(33);
  });
});
