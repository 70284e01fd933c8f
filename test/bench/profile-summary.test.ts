import { expect, it } from "vitest";
import { selfTimes, type CpuProfile } from "./profile-summary.ts";

const frame = (functionName: string, url = "") => ({ functionName, url, lineNumber: 9 });

const profile: CpuProfile = {
  nodes: [
    { id: 1, callFrame: frame("(idle)") },
    { id: 2, callFrame: frame("turn", "file:///a/quiche/driver.js") },
    { id: 3, callFrame: frame("") },
    { id: 4, callFrame: frame("turn", "file:///a/quiche/driver.js") },
  ],
  samples: [1, 2, 3, 4],
  timeDeltas: [900_000, 100_000, 100_000, 200_000],
};

it("adds up what a function spent wherever it was called from, idle time left out", () => {
  expect(selfTimes(profile)).toEqual([
    { name: "turn quiche/driver.js:10", share: 0.75, seconds: 0.3 },
    { name: "(anonymous)", share: 0.25, seconds: 0.1 },
  ]);
});
