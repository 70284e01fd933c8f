import { describe, expect, it } from "vitest";
import type { BenchPlan } from "../bench.ts";
import { loads } from "../loads/index.ts";
import { sizesOf, parseArguments } from "../options.ts";
import { culvertPeer } from "../peers/culvert.ts";
import { peers } from "../peers/index.ts";
import { loopbackPlace } from "../place.ts";
import { partsOf } from "./parts.ts";

describe("the parts of the document", () => {
  it("take no more than 25 minutes together, even where every program is installed", () => {
    const parts = partsOf(plan(), "unused");
    const seconds = parts.reduce((sum, { plannedSeconds }) => sum + plannedSeconds, 0);
    expect(seconds).toBeLessThan(25 * 60);
    expect(Math.min(...parts.map(({ plannedSeconds }) => plannedSeconds))).toBeGreaterThan(0);
  });

  it("hold five rounds, and shorter ones only where fewer are asked for", () => {
    const all = planned(plan());
    const one = planned({ ...plan(), sizes: { ...plan().sizes, rounds: 1 } });
    expect(plan().sizes.rounds).toBe(5);
    expect(one).toBeLessThan(all / 1.5);
  });

  it("watch an idle relay for ten seconds at least", () => {
    expect(plan().sizes.idleSeconds).toBeGreaterThanOrEqual(10);
    expect(sizesOf(parseArguments(["node", "bench", "--quick"])).idleSeconds).toBe(10);
  });

  it("name WebSocket, the server by a link, and each path, once each", () => {
    const names = partsOf(plan(), "unused").map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(["websocket", "link", "veth", "veth-loss"]));
    expect(new Set(names).size).toBe(names.length);
  });

  it("reject rather than give an empty table where no load is left", async () => {
    const [first] = partsOf({ ...plan(), loads: [], peers: [] }, "unused");
    await expect(first?.measure()).rejects.toThrow("no load of it was asked for");
  });
});

function planned(plan: BenchPlan): number {
  return partsOf(plan, "unused").reduce((sum, { plannedSeconds }) => sum + plannedSeconds, 0);
}

/** As the command line makes it, with every program given by its path. */
function plan(): BenchPlan {
  const all = [culvertPeer(), ...peers];
  return {
    place: loopbackPlace(),
    peers: all,
    loads,
    sizes: sizesOf(parseArguments(["node", "bench", "--document"])),
    programs: new Map(all.flatMap(({ programs }) => programs.map((name) => [name, "/bin/true"]))),
    endSignal: "SIGKILL",
    progress: () => undefined,
    options: {},
  };
}
