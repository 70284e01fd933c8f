import { expect, test } from "vitest";
import { spreadTables } from "./spread-tables.ts";

const shape = (line: string): string => `shaped ${line}`;

test("a line without a table is shaped as it is, however long", () => {
  const long = `${JSON.stringify({ event: "x", text: "y".repeat(1_000), error: { name: "E" } })}\n`;
  for (const line of ['{"event":"x"}\n', long]) {
    expect(spreadTables(line, shape)).toBe(`shaped ${line}`);
  }
});

test("a table gets a line for each of its keys, below what else the line says", () => {
  const config = {
    listen: ["127.0.0.1:1", "[::1]:1"],
    reconnect: { first: "100ms", cap: "1s" },
    drain: "30s",
    odd: "a, b\u001b[2J",
    none: null,
    peers: Array.from({ length: 20 }, (_, index) => ({ name: `peer-${index}`, port: index })),
  };
  const line = `${JSON.stringify({ event: "config.effective", config, worstCaseMemory: "1 GiB" })}\n`;
  const lines = spreadTables(line, shape).split("\n");
  expect(lines[0]).toBe('shaped {"event":"config.effective","worstCaseMemory":"1 GiB"}');
  expect(lines.slice(1, 7)).toEqual([
    "    config:",
    '      listen: [127.0.0.1:1, "[::1]:1"]',
    "      reconnect: {first: 100ms, cap: 1s}",
    "      drain: 30s",
    '      odd: "a, b\\u001b[2J"',
    "      none: null",
  ]);
  expect(lines[7]).toMatch(/^ {6}peers: \[\{name: peer-0, port: 0\}, /);
  expect(lines.slice(8)).toEqual([""]);
});
