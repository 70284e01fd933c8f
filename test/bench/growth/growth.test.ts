import { describe, expect, it } from "vitest";
import { eachRow } from "./growth.ts";
import { growthTables } from "./report-growth.ts";

describe("the growth bench", () => {
  it("goes on after a row that fails, and keeps its reason", async () => {
    const found = await eachRow([1, 10, 100], (at) =>
      at === 10 ? Promise.reject(new Error("refused\ntrace")) : Promise.resolve(at),
    );
    expect(found).toEqual({ rows: [1, 100], failures: [{ at: 10, reason: "refused" }] });
  });

  it("says in its report what could not be measured, and has no table without a row", () => {
    const text = growthTables({
      startedAt: "2026-01-02T03:04:05.678Z",
      machine: {
        ...{ processor: "EPYC", cores: 2, memoryGib: 8 },
        ...{ kernel: "6.1", node: "v20", loadAtStart: 0 },
      },
      path: "loopback",
      connections: [],
      servers: [
        { attached: 1, relayMemory: 1, relayIdleCpu: 1, relayCpuPerMib: 1, p50: 1, p99: 1 },
      ],
      failures: ["100 servers: refused"],
    });
    expect(text).toContain("Not measured: 100 servers: refused.");
    expect(text).toContain("servers attached");
    expect(text).not.toContain("connections open");
  });
});
