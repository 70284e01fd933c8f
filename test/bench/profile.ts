import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { runBench, type BenchPlan } from "./bench.ts";
import { culvertPeer, type CulvertOptions } from "./peers/culvert.ts";
import { summarizeProfiles } from "./profile-summary.ts";
import { reportTables } from "./report-table.ts";

/** Runs each load once over ours alone, profiled, and sums up what each process did. The profiles stay in `folder`. */
export async function runProfiles(
  plan: BenchPlan,
  options: CulvertOptions,
  folder: string,
): Promise<string> {
  const parts: string[] = [];
  for (const load of plan.loads) {
    const profileFolder = join(folder, load.name);
    await rm(profileFolder, { recursive: true, force: true });
    await mkdir(profileFolder, { recursive: true });
    const results = await runBench({
      ...plan,
      loads: [load],
      peers: [culvertPeer({ ...options, profileFolder })],
      sizes: { ...plan.sizes, rounds: 1, longRounds: 1 },
      // A killed process writes no profile.
      endSignal: "SIGTERM",
    });
    parts.push(`## ${load.name}`, reportTables(results), await summarizeProfiles(profileFolder));
  }
  return `${parts.join("\n\n")}\n`;
}
