import { describe, expect, it, vi } from "vitest";
import { silentLog } from "@culvert/telemetry";
import { lastWords, logAgentLine } from "./agent-line.ts";

function logged(line: string): unknown[] {
  const calls: unknown[] = [];
  const log = { ...silentLog };
  for (const level of ["debug", "info", "warn", "error"] as const) {
    log[level] = vi.fn((event, fields) => void calls.push([level, event, fields]));
  }
  logAgentLine(log, line);
  return calls;
}

describe("a line of an agent", () => {
  it.each(["debug", "info", "warn", "error"])("keeps its level %s and its fields", (level) => {
    const line = JSON.stringify({ level, time: "now", event: "x.y", host: "h" });
    expect(logged(line)).toEqual([
      [level, "norouter.agent.stderr", { said: "x.y", fields: { host: "h" } }],
    ]);
  });

  it.each(["level=warning msg=x", "{", "{}", '{"event":1,"level":"info"}'])(
    "is text where it is none of ours: %s",
    (line) => {
      expect(logged(line)).toEqual([["info", "norouter.agent.stderr", { line }]]);
    },
  );
});

describe("the last words of an agent", () => {
  it.each([
    ["any text", "any text"],
    ["{", "{"],
    ["", undefined],
    ['{"level":"info","event":"x.configured","me":"a"}', undefined],
    ['{"level":"info","event":"x.ended","reason":"end of input"}', "x.ended: end of input"],
    ['{"level":"warn","event":"x.failed","text":"no room"}', "x.failed: no room"],
    ['{"level":"error","event":"x.fault","reason":7}', "x.fault"],
  ])("are, of %s: %s", (line, words) => {
    expect(lastWords(line)).toBe(words);
  });
});
