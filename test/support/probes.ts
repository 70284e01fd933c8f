import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** What a process holds, from /proc (Linux). */
export interface Holdings {
  /** Open descriptors by kind: `socket`, `pipe`, `anon_inode:[eventpoll]`, `file` and so on. */
  readonly descriptors: Readonly<Record<string, number>>;
  readonly sockets: number;
  readonly rssBytes: number;
}

/** Counts what the process of this id holds now. */
export function holdings(pid: number): Holdings {
  const descriptors: Record<string, number> = {};
  for (const name of readdirSync(`/proc/${pid}/fd`)) {
    const kind = kindOf(`/proc/${pid}/fd/${name}`);
    if (kind !== undefined) descriptors[kind] = (descriptors[kind] ?? 0) + 1;
  }
  return { descriptors, sockets: descriptors["socket"] ?? 0, rssBytes: rssBytes(pid) };
}

/** Resident memory of the process, bytes. */
export function rssBytes(pid: number): number {
  const line = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  if (line === null) throw new Error(`no VmRSS for process ${pid}`);
  return Number(line[1]) * 1024;
}

/** Processor time the process has used so far, seconds. */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // The name in parentheses may hold blanks; user and system time are the 14th and 15th field (proc(5)), in 1/100 s.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** System calls by which the process has read and written so far: files, pipes and TCP, which libuv serves so, but not UDP. */
export function readsAndWrites(pid: number): number {
  const calls = readFileSync(`/proc/${pid}/io`, "utf8").matchAll(/^sysc[rw]: (\d+)$/gm);
  return [...calls].reduce((sum, [, count]) => sum + Number(count), 0);
}

function kindOf(path: string): string | undefined {
  try {
    const target = readlinkSync(path);
    if (target.startsWith("/")) return "file";
    return target.replace(/:\[\d+\]$/, "");
  } catch {
    // Closed between the listing and the look.
    return undefined;
  }
}
