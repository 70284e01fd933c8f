import { describe, expect, it } from "vitest";
import { measures } from "./measures.ts";
import { peers } from "./peers/index.ts";
import { culvertPeer } from "./peers/culvert.ts";
import { reportTables } from "./report-table.ts";
import type { Results } from "./results.ts";

const results: Results = {
  startedAt: "2026-01-02T03:04:05.678Z",
  machine: {
    processor: "AMD EPYC",
    cores: 2,
    memoryGib: 8,
    kernel: "6.1",
    node: "v20.20.2",
    loadAtStart: 0.4,
  },
  path: "loopback",
  rounds: 2,
  options: {},
  contenders: [culvertPeer(), ...peers],
  values: {},
  failures: [],
  leftOut: [],
};

const everything: Results = {
  ...results,
  values: Object.fromEntries(
    measures
      .flatMap(({ id }) =>
        id.startsWith("bulk-")
          ? [id, ...["client", "relay", "server", "all"].map((role) => `${id}.cpu.${role}`)]
          : [id],
      )
      .map((id) => [
        id,
        Object.fromEntries(results.contenders.map(({ name }) => [name, [0.01234, 0.04321]])),
      ]),
  ),
};

describe("the report", () => {
  it("is no wider than 120 columns, however many contenders there are", () => {
    const tables = reportTables(everything)
      .split("\n")
      .filter((line) => line.startsWith("|"));
    expect(tables.length).toBeGreaterThan(3 * measures.length);
    expect(Math.max(...tables.map((line) => line.length))).toBeLessThanOrEqual(120);
  });

  it("has ours, ssh, their ratio and the aim in its first table, and every other contender in a later one", () => {
    const [first = "", ...later] = reportTables(everything).split("\n\n").slice(1);
    expect(first).toContain(" Culvert |");
    expect(first).toContain("ratio to ssh");
    for (const { title } of peers.slice(1)) {
      expect(first).not.toContain(title);
      expect(later.filter((each) => each.includes(`${title} |`))).toHaveLength(1);
    }
  });

  it("counts one round as one round, and says on which day it was", () => {
    expect(reportTables({ ...results, rounds: 1 })).toMatch(/2026-01-02.*, 1 round;/);
    expect(reportTables(results)).toContain(", 2 rounds;");
  });

  it("says in the table where a contender is left out, and does not take it for a failure", () => {
    const text = reportTables({
      ...results,
      values: { "open-p50@10000": { culvert: [5] }, "open-p50@1000": { culvert: [4], ssh: [40] } },
    });
    const rows = text.split("\n").filter((line) => line.startsWith("| 1"));
    expect(rows[0]).toMatch(/1,000 .* 40\.0 /);
    expect(rows[1]).toMatch(/10,000 .* left out /);
  });
});
