import { describe, expect, it, vi } from "vitest";
import { silentLog } from "@culvert/telemetry";
import { logAgentLine } from "./agent-line.ts";

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
