import { runBench, usablePeers, type BenchPlan } from "../bench.ts";
import { drawResults } from "../draw-results.ts";
import { runGrowth } from "../growth/growth.ts";
import { drawGrowth, growthTables } from "../growth/report-growth.ts";
import type { Load } from "../loads/load.ts";
import { culvertPeer, type CulvertOptions } from "../peers/culvert.ts";
import { sshPeer } from "../peers/index.ts";
import type { Peer } from "../peers/peer.ts";
import { loopbackPlace, vethPlace, type Place } from "../place.ts";
import { reportTables } from "../report-table.ts";
import type { Results } from "../results.ts";
import type { Measured, Part } from "./part.ts";

/** Every part of docs/performance.md, in its order; charts go into `folder`. Loads that the plan has not are not run. */
export function partsOf(plan: BenchPlan, folder: string): readonly Part[] {
  return [
    compared(plan, folder, "forwarding", "Bulk, new connections, echo", [...forwarding]),
    compared(plan, folder, "idle", "2,000 idle connections", ["idle"]),
    compared(onlyMain(plan), folder, "open", "One more connection beside many", ["open"]),
    compared(onlyMain(plan), folder, "restart", "The relay starts again", ["restart"]),
    carried(plan, "websocket", "By WebSocket (`--transport wss`)", { transport: "wss" }),
    carried(plan, "link", "Server by a link (`--transport norouter`)", { transport: "norouter" }),
    growth(plan, folder, "connections", "By open connections"),
    growth(plan, folder, "servers", "By attached servers"),
    enginesOn(plan, "loopback", "Loopback", () => Promise.resolve(loopbackPlace())),
    enginesOn(plan, "veth", "veth, MTU 1,500", () => vethPlace(0)),
    enginesOn(plan, "veth-loss", "veth, MTU 1,500, 1 % of packets lost each way", () =>
      vethPlace(1),
    ),
  ];
}

/** Ours and ssh are what the aims are about; one that is there for its rank needs fewer rounds. */
function roundsOf(peer: Peer, load: { readonly name: string }): number {
  if (isMain(peer)) return load.name === "open" ? 1 : Infinity;
  return load.name === "idle" || load.name === "echo-bulk" ? 1 : 2;
}

function compared(
  whole: BenchPlan,
  folder: string,
  name: string,
  title: string,
  names: readonly string[],
): Part {
  const plan = { ...withLoads(whole, names), roundsOf };
  return {
    ...{ name, title, section: "comparison" },
    plannedSeconds: plannedSeconds(plan),
    async measure() {
      const results = await runBench(plan);
      await drawResults(results, folder);
      return asMeasured(results);
    },
  };
}

/** Bulk alone, by what else can carry a session. */
function carried(whole: BenchPlan, name: string, title: string, options: CulvertOptions): Part {
  const plan = twoRounds({
    ...withLoads(whole, bulk),
    peers: [culvertPeer(options), ...whole.peers.filter((peer) => peer.name === "ssh")],
  });
  return {
    ...{ name, title, section: "comparison" },
    plannedSeconds: plannedSeconds(plan),
    measure: async () => asMeasured(await runBench(plan)),
  };
}

function growth(
  whole: BenchPlan,
  folder: string,
  name: "connections" | "servers",
  title: string,
): Part {
  const none = name === "servers" ? { growthConnections: [] } : { growthServers: [] };
  const sizes = { ...whole.sizes, ...none };
  const each = sizes.growthConnections.map((open) => 10 + open / 250);
  const attached = sizes.growthServers.map((servers) => 22 + servers / 10);
  return {
    ...{ name, title, section: "growth" },
    plannedSeconds: [...each, ...attached].reduce((sum, seconds) => sum + seconds, 0),
    async measure() {
      const found = await runGrowth({ ...whole, sizes }, {});
      await drawGrowth(found, folder);
      return { text: growthTables(found), json: found, problems: found.failures };
    },
  };
}

function enginesOn(
  whole: BenchPlan,
  name: string,
  title: string,
  open: () => Promise<Place>,
): Part {
  const plan = twoRounds({
    ...withLoads(whole, ["bulk-1-up", "bulk-1-down", "connect", "echo"]),
    peers: [ours("quinn"), ours("quiche"), sshPeer],
  });
  return {
    ...{ name, title, section: "paths" },
    plannedSeconds: plannedSeconds(plan),
    async measure() {
      const place = await open();
      try {
        return asMeasured(await runBench({ ...plan, place }));
      } finally {
        place.close();
      }
    },
  };
}

/** About how long a bench takes on a quiet machine, by the contenders whose programs are here. */
function plannedSeconds(plan: BenchPlan): number {
  const each = usablePeers(plan, []).flatMap((peer) =>
    plan.loads.map((load) => rounds(plan, peer, load) * load.typicalSeconds(plan.sizes)),
  );
  const starts = each.length === 0 ? 0 : plan.peers.length * plan.sizes.rounds * startSeconds;
  return each.reduce((sum, seconds) => sum + seconds, starts);
}

function rounds({ sizes, roundsOf }: BenchPlan, peer: Peer, load: Load): number {
  return Math.min(load.rounds(sizes), roundsOf?.(peer, load) ?? Infinity);
}

function asMeasured(results: Results): Measured {
  const problems = results.failures.map(
    ({ load, contender, round }) => `${load} of ${contender} failed in round ${round + 1}`,
  );
  if (Object.keys(results.values).length === 0) {
    throw new Error(problems[0] ?? results.leftOut[0] ?? "no load of it was asked for");
  }
  return { text: reportTables(results), json: results, problems };
}

function withLoads(plan: BenchPlan, names: readonly string[]): BenchPlan {
  return { ...plan, loads: plan.loads.filter(({ name }) => names.includes(name)) };
}

function onlyMain(plan: BenchPlan): BenchPlan {
  return { ...plan, peers: plan.peers.filter(isMain) };
}

function twoRounds(plan: BenchPlan): BenchPlan {
  return { ...plan, sizes: { ...plan.sizes, rounds: Math.min(2, plan.sizes.rounds) } };
}

function isMain({ name }: Peer): boolean {
  return name === "culvert" || name === "ssh";
}

function ours(engine: "quiche" | "quinn"): Peer {
  return { ...culvertPeer({ engine }), name: `culvert-${engine}` };
}

const startSeconds = 1.5;
const bulk = ["bulk-1-up", "bulk-1-down", "bulk-16-up", "bulk-16-down"];
const forwarding = [...bulk, "connect", "echo", "echo-bulk"];
