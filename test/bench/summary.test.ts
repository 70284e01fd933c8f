import { expect, it } from "vitest";
import { describeMachine, type Results } from "./results.ts";
import { softwareVersions, summaryOf } from "./summary.ts";

it("a measure is summed up by median, spread, ratio and aim, and what ssh lacks has no ratio", () => {
  const results: Results = {
    ...{ startedAt: "2026-01-01T00:00:00.000Z", machine: describeMachine(), path: "loopback" },
    ...{ rounds: 3, options: {}, failures: [], leftOut: [] },
    contenders: [
      { name: "culvert", title: "Culvert" },
      { name: "ssh", title: "ssh" },
    ],
    values: {
      "echo-p50": { culvert: [0.4, 0.5, null], ssh: [0.2, 0.25, 0.3] },
      "idle-memory": { culvert: [20] },
    },
  };
  const summary = summaryOf(results);
  expect(Object.keys(summary).sort()).toEqual(["echo-p50", "idle-memory"]);
  expect(summary["echo-p50"]).toMatchObject({ unit: "ms", aim: "<= 1 x ssh", met: false });
  expect(summary["echo-p50"]?.ratioToSsh).toMatchObject({ rounds: 2, median: 2 });
  expect(summary["echo-p50"]?.contenders["culvert"]?.median).toBeCloseTo(0.45);
  expect(summary["echo-p50"]?.contenders["culvert"]?.spread).toBeCloseTo(0.05 / 0.45);
  expect(summary["idle-memory"]).toMatchObject({ met: true });
  expect(summary["idle-memory"]?.ratioToSsh).toBeUndefined();
});

it("the versions name Culvert's own", async () => {
  const { culvert } = await softwareVersions();
  expect(culvert).toMatch(/\d+\.\d+\.\d+/);
});
