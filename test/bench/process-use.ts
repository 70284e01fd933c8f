import { readdirSync, readFileSync } from "node:fs";
import { cpuSeconds, rssBytes } from "../support/probes.ts";

/** What a process and all its descendants have used: sshd, for one, serves each login in a child. */
export interface Use {
  readonly cpuSeconds: number;
  readonly rssBytes: number;
}

/** Processor time (all threads) and resident memory of a process and its descendants now. */
export function processUse(pid: number): Use {
  let cpu = 0;
  let rss = 0;
  for (const each of [pid, ...descendants(pid)]) {
    try {
      cpu += cpuSeconds(each);
      rss += rssBytes(each);
    } catch (error) {
      // A descendant may end between the listing and the look; the process itself may not.
      if (each === pid) throw error;
    }
  }
  return { cpuSeconds: cpu, rssBytes: rss };
}

function descendants(root: number): number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync("/proc")) {
    const parent = /^\d+$/.test(name) ? parentOf(Number(name)) : undefined;
    if (parent !== undefined) parents.set(Number(name), parent);
  }
  const found: number[] = [];
  const isBelow = (pid: number): boolean => {
    const parent = parents.get(pid);
    return parent !== undefined && (parent === root || isBelow(parent));
  };
  for (const pid of parents.keys()) if (isBelow(pid)) found.push(pid);
  return found;
}

function parentOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
  } catch {
    return undefined;
  }
}
