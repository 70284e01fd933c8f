import { describe, expect, it } from "vitest";
import { describeAim, measures, measuresFor, meets } from "./measures.ts";
import { culvertPeer } from "./peers/culvert.ts";

describe("the aims", () => {
  const idleCpu = measures.find(({ id }) => id === "idle-cpu");

  it("wants an idle relay below 1 % of a core, not at it", () => {
    expect(meets(idleCpu?.aim, 1, undefined)).toBe(false);
    expect(meets(idleCpu?.aim, 0.99, undefined)).toBe(true);
    expect(describeAim(idleCpu?.aim)).toBe("< 1");
  });

  it("takes what it may be at most as met", () => {
    expect(meets({ atMost: 30 }, 30, undefined)).toBe(true);
    expect(meets({ atMost: 30 }, 30.1, undefined)).toBe(false);
    expect(meets({ atMostTimes: 0.5 }, 1, 0.5)).toBe(true);
    expect(meets({ atLeastTimes: 2 }, 1, 2)).toBe(true);
  });

  it("says nothing of an aim whose ratio nobody knows", () => {
    expect(meets({ atMostTimes: 0.5 }, 1, undefined)).toBeUndefined();
    expect(meets(undefined, 1, 1)).toBeUndefined();
  });
});

it("holds bulk by WebSocket against ssh itself, and everything else against the table", () => {
  const aims = (ours: Parameters<typeof measuresFor>[0]): unknown[] =>
    measuresFor(ours).map(({ aim }) => describeAim(aim));
  expect(aims(culvertPeer())).toEqual(measures.map(({ aim }) => describeAim(aim)));
  expect(aims(culvertPeer({ transport: "wss" }))).toEqual(
    measures.map(({ id, aim }) => (id.startsWith("bulk-") ? ">= 1 x ssh" : describeAim(aim))),
  );
});
