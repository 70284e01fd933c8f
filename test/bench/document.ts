import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { format, resolveConfig } from "prettier";
import { runBench, type BenchPlan } from "./bench.ts";
import { drawResults } from "./draw-results.ts";
import { runGrowth } from "./growth/growth.ts";
import { drawGrowth, growthTables } from "./growth/report-growth.ts";
import { matches } from "./options.ts";
import { culvertPeer } from "./peers/culvert.ts";
import { sshPeer } from "./peers/index.ts";
import type { Peer } from "./peers/peer.ts";
import { loopbackPlace, vethPlace, type Place } from "./place.ts";
import { reportTables } from "./report-table.ts";
import { writeResult, type Results } from "./results.ts";

/**
 * Measures everything that docs/performance.md shows (the comparison, the growth, engines by path), writes it into `folder`, and
 * puts each table between its marks in the document. Gives the tables.
 */
export async function measureForDocument(plan: BenchPlan, folder: string): Promise<string> {
  const tables = new Map<string, string>();
  const keep = async (name: string, text: string): Promise<void> => {
    tables.set(name, text);
    // Each as soon as it is there, so that an interrupted run leaves what it has.
    await writeResult(folder, `document-${name}.md`, text);
    await fill(name, text);
  };

  const comparison = await runBench({ ...plan, roundsOf });
  await writeResult(folder, "latest.json", `${JSON.stringify(comparison, undefined, 2)}\n`);
  await drawResults(comparison, folder);
  await keep("comparison", reportTables(comparison));

  const growth = await runGrowth(plan, {});
  await writeResult(folder, "growth.json", `${JSON.stringify(growth, undefined, 2)}\n`);
  await drawGrowth(growth, folder);
  await keep("growth", growthTables(growth));

  const paths: string[] = [];
  for (const [title, open] of places) {
    paths.push(`### ${title}\n\n${await enginesOn(plan, open)}`);
    await keep("paths", paths.join("\n"));
  }
  return [...tables.values()].join("\n");
}

/** Ours and ssh are what the aims are about; one that is there for its rank needs fewer rounds, and not the longest loads. */
function roundsOf(peer: Peer, load: { readonly name: string }): number {
  if (load.name === "open") return isMain(peer) ? 1 : 0;
  if (isMain(peer)) return Infinity;
  if (load.name === "restart") return 0;
  return load.name === "idle" ? 1 : 2;
}

function isMain({ name }: Peer): boolean {
  return name === "culvert" || name === "ssh";
}

async function enginesOn(plan: BenchPlan, open: () => Promise<Place>): Promise<string> {
  let place: Place;
  try {
    place = await open();
  } catch (error) {
    return `Left out: ${error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error)}\n`;
  }
  try {
    const results: Results = await runBench({
      ...plan,
      place,
      peers: [ours("quinn"), ours("quiche"), sshPeer],
      loads: plan.loads.filter(({ name }) =>
        ["bulk-1-up", "bulk-1-down", "connect", "echo"].some((each) => matches(name, each)),
      ),
      sizes: { ...plan.sizes, rounds: 2 },
    });
    return reportTables(results);
  } finally {
    place.close();
  }
}

function ours(engine: "quiche" | "quinn"): Peer {
  return { ...culvertPeer({ engine }), name: `culvert-${engine}` };
}

/** Replaces what stands between the marks of a table in the document; a document without them stays as it is. */
async function fill(name: string, text: string): Promise<void> {
  const file = fileURLToPath(new URL("../../docs/performance.md", import.meta.url));
  const [start, end] = [`<!-- measured: ${name} -->`, `<!-- end of ${name} -->`];
  const before = await readFile(file, "utf8");
  const [from, to] = [before.indexOf(start), before.indexOf(end)];
  if (from === -1 || to < from) return;
  const filled = `${before.slice(0, from + start.length)}\n\n${text.trim()}\n\n${before.slice(to)}`;
  await writeFile(file, await format(filled, { ...(await resolveConfig(file)), filepath: file }));
}

const places: readonly (readonly [title: string, open: () => Promise<Place>])[] = [
  ["Loopback", () => Promise.resolve(loopbackPlace())],
  ["veth, MTU 1,500", () => vethPlace(0)],
  ["veth, MTU 1,500, 1 % of packets lost each way", () => vethPlace(1)],
];
