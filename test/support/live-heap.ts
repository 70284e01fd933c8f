import { createReadStream, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Daemon, DaemonOptions } from "./daemon.ts";
import { waitUntil } from "./wait.ts";

/** Start options for daemons whose {@link liveHeapBytes} is to be measured. */
export const measurable: DaemonOptions = {
  env: { NODE_OPTIONS: "--heapsnapshot-signal=SIGUSR2" },
};

/**
 * What a daemon's heap holds after a full collection of garbage, bytes. Resident memory says little about leaks, since V8 gives it
 * back when it likes; a heap snapshot collects first and lists exactly what is alive. `folder` is the daemon's working folder,
 * where Node writes the snapshot.
 */
export async function liveHeapBytes(daemon: Daemon, folder: string): Promise<number> {
  daemon.child.signal("SIGUSR2");
  const file = await waitUntil(
    "a complete heap snapshot",
    async () => {
      const name = readdirSync(folder).find(
        (each) => each.endsWith(".heapsnapshot") && each.includes(`.${daemon.pid}.`),
      );
      return name !== undefined && (await totalOf(join(folder, name))) !== undefined
        ? join(folder, name)
        : undefined;
    },
    { withinMs: 30_000, everyMs: 200 },
  );
  const total = await totalOf(file);
  rmSync(file);
  return total ?? Number.NaN;
}

interface Snapshot {
  readonly snapshot: { readonly meta: { readonly node_fields: readonly string[] } };
  readonly nodes: readonly number[];
}

/** The sum of all nodes' own sizes; undefined while the file is being written. */
async function totalOf(file: string): Promise<number | undefined> {
  const parts: Buffer[] = [];
  for await (const part of createReadStream(file) as AsyncIterable<Buffer>) parts.push(part);
  let parsed: Snapshot;
  try {
    parsed = JSON.parse(Buffer.concat(parts).toString("utf8")) as Snapshot;
  } catch {
    return undefined;
  }
  const fields = parsed.snapshot.meta.node_fields;
  const at = fields.indexOf("self_size");
  let total = 0;
  for (let index = at; index < parsed.nodes.length; index += fields.length) {
    total += parsed.nodes[index] ?? 0;
  }
  return total;
}
