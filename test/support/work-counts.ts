import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Daemon, DaemonOptions } from "./daemon.ts";
import { readsAndWrites } from "./probes.ts";
import { waitUntil } from "./wait.ts";

/** What a daemon has done since its start. */
export interface WorkCounts {
  /** Calls of setTimeout. */
  readonly timers: number;
  /** Abort controllers made. */
  readonly signals: number;
  /** Writes to standard error. */
  readonly logWrites: number;
  /** UDP datagrams sent. */
  readonly datagrams: number;
  /** Bytes of the buffers that its code made, copies included; not of those that Node reads into. */
  readonly bufferBytes: number;
  /** Full collections of garbage, ours not included. */
  readonly fullCollections: number;
  /** Turns of the event loop. */
  readonly turns: number;
  /** Used by what is alive now: garbage is collected first. */
  readonly heapBytes: number;
  /** Used outside of the heap, mostly by buffers, after the same collection. */
  readonly outsideBytes: number;
  /** System calls that read or write, as Linux counts them: those of TCP and of pipes, not those of UDP. */
  readonly readsAndWrites: number;
}

/** Start options for daemons whose work is counted. */
export const counted: DaemonOptions = {
  env: { NODE_OPTIONS: `--import ${new URL("counting.mjs", import.meta.url).href}` },
};

/** Asks a daemon, started with {@link counted} in `folder`, for its counts. */
export async function workCounts(daemon: Daemon, folder: string): Promise<WorkCounts> {
  const file = join(folder, `counts.${daemon.pid}.json`);
  rmSync(file, { force: true });
  const calls = readsAndWrites(daemon.pid);
  daemon.child.signal("SIGUSR2");
  const text = await waitUntil("counts", () => readFileSync(file, "utf8"), { withinMs: 10_000 });
  return { ...(JSON.parse(text) as Omit<WorkCounts, "readsAndWrites">), readsAndWrites: calls };
}
