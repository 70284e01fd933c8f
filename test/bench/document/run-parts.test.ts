import { describe, expect, it } from "vitest";
import type { Part } from "./part.ts";
import { runParts, type PartSinks } from "./run-parts.ts";

describe("a run for the document", () => {
  it("goes on after a part that fails, and says in its place and at the end why", async () => {
    const { sinks, filled } = recording();
    const bad = part("bad", () => Promise.reject(new Error("no namespace\nand a long trace")));
    const report = await runParts([part("first"), bad, part("last")], sinks);
    expect([...filled.keys()]).toEqual(["first", "bad", "last"]);
    expect(filled.get("bad")).toBe("### About bad\n\nNot measured: no namespace.\n");
    expect(filled.get("last")).toContain("table of last");
    expect(report.problems).toEqual(["bad: not measured: no namespace"]);
  });

  it("keeps each part before the next begins, so that an interrupted run leaves what it has", async () => {
    const { sinks, filled, files } = recording();
    let before: readonly string[] = [];
    const second = part("second", () => {
      before = [...files.keys(), ...filled.keys()];
      return Promise.resolve({ text: "", json: {}, problems: [] });
    });
    await runParts([part("first"), second], sinks);
    expect(before).toEqual(["document-first.json", "document-first.md", "first"]);
  });

  it("announces the planned minutes, and tells the elapsed ones after each part", async () => {
    const { sinks, said } = recording();
    await runParts([part("first"), part("second")], sinks);
    expect(said).toEqual([
      "2 parts, about 3.0 minutes on a quiet machine",
      "1.0 of about 3.0 minutes: first: done",
      "2.0 of about 3.0 minutes: second: done",
    ]);
    const alone = recording();
    await runParts([part("first")], alone.sinks);
    expect(alone.said[0]).toBe("1 part, about 1.5 minutes on a quiet machine");
  });

  it("does not lose the parts to come to a document that cannot be written", async () => {
    const { sinks, files } = recording();
    const report = await runParts([part("first"), part("second")], {
      ...sinks,
      fill: () => Promise.reject(new Error("read-only")),
    });
    expect(files.get("document-second.md")).toContain("table of second");
    expect(report.problems).toEqual([
      "first: not written: read-only",
      "second: not written: read-only",
    ]);
  });

  it("reports what a part could measure only in pieces", async () => {
    const { sinks } = recording();
    const some = { text: "t", json: {}, problems: ["10000 connections: refused"] };
    const report = await runParts([part("growth", () => Promise.resolve(some))], sinks);
    expect(report.problems).toEqual(["growth: 10000 connections: refused"]);
    expect(report.text).toContain("### About growth");
  });
});

function part(name: string, measure?: Part["measure"]): Part {
  const measured = { text: `table of ${name}\n`, json: { name }, problems: [] };
  return {
    ...{ name, section: "growth", title: `About ${name}`, plannedSeconds: 90 },
    measure: measure ?? (() => Promise.resolve(measured)),
  };
}

/** Sinks that remember, on a clock that goes on by a minute with every look. */
function recording() {
  const [filled, files] = [new Map<string, string>(), new Map<string, string>()];
  const said: string[] = [];
  let looks = 0;
  const sinks: PartSinks = {
    fill: ({ name }, text) => Promise.resolve(void filled.set(name, text)),
    write: (file, text) => Promise.resolve(void files.set(file, text)),
    say: (line) => said.push(line),
    now: () => 60_000 * looks++,
  };
  return { sinks, filled, files, said };
}
