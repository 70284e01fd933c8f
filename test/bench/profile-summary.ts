import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { table } from "./table.ts";

/** What one function of a process cost, its callees left out. */
export interface SelfTime {
  readonly name: string;
  readonly share: number;
  readonly seconds: number;
}

/** Of the JSON that `node --cpu-prof` writes, what is read. */
export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: {
      readonly functionName: string;
      readonly url: string;
      readonly lineNumber: number;
    };
  }[];
  readonly samples: readonly number[];
  /** Microseconds before each sample. */
  readonly timeDeltas: readonly number[];
}

/** The dearest functions first, as a share of the time in which the process was not idle. */
export function selfTimes(profile: CpuProfile): readonly SelfTime[] {
  const names = new Map(profile.nodes.map(({ id, callFrame }) => [id, nameOf(callFrame)]));
  const micros = new Map<string, number>();
  for (const [index, id] of profile.samples.entries()) {
    const name = names.get(id) ?? "(unknown)";
    micros.set(name, (micros.get(name) ?? 0) + (profile.timeDeltas[index] ?? 0));
  }
  micros.delete("(idle)");
  const busy = [...micros.values()].reduce((sum, each) => sum + each, 0);
  return [...micros]
    .map(([name, spent]) => ({ name, share: spent / busy, seconds: spent / 1e6 }))
    .sort((a, b) => b.share - a.share);
}

/** Sums up the newest profile of each process in a folder as Markdown tables. */
export async function summarizeProfiles(folder: string, rows = 18): Promise<string> {
  const parts: string[] = [];
  for (const role of ["client", "relay", "server"]) {
    const files = (await readdir(folder)).filter((name) => name.startsWith(`${role}-`)).sort();
    const newest = files.at(-1);
    if (newest === undefined) continue;
    const profile = JSON.parse(await readFile(join(folder, newest), "utf8")) as CpuProfile;
    const lines = selfTimes(profile)
      .slice(0, rows)
      .map(({ name, share, seconds }) => [
        name,
        `${(share * 100).toFixed(1)} %`,
        seconds.toFixed(2),
      ]);
    parts.push(table([`${role}: self time`, "of busy time", "seconds"], lines));
  }
  return parts.join("\n\n");
}

function nameOf(frame: CpuProfile["nodes"][number]["callFrame"]): string {
  const { functionName, url, lineNumber } = frame;
  const file = url.split("/").slice(-2).join("/");
  const name = functionName === "" ? "(anonymous)" : functionName;
  return file === "" ? name : `${name} ${file}:${lineNumber + 1}`;
}
