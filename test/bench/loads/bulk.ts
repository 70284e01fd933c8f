import { run } from "../../support/child.ts";
import { waitUntil } from "../../support/wait.ts";
import type { Contender, Surroundings } from "../contender.ts";
import type { Load, Sample } from "./load.ts";

/** Which way the bytes go: `up` from the TCP client to the TCP server. */
export type Direction = "up" | "down";

/** iperf3 with so many streams in one direction: throughput, and CPU seconds per MiB of each process. */
export function bulkLoad(streams: number, direction: Direction): Load {
  const name = `bulk-${streams}-${direction}`;
  return {
    name,
    programs: ["iperf3"],
    fresh: false,
    rounds: (sizes) => sizes.rounds,
    typicalSeconds: ({ bulkSeconds }) => bulkSeconds + 0.7,
    fits: () => true,
    async measure(contender, surroundings, { bulkSeconds }) {
      const { mibPerSecond, cpu } = await bulkTransfer(contender, surroundings, {
        streams,
        direction,
        seconds: bulkSeconds,
      });
      const sample: Record<string, number> = { [name]: mibPerSecond };
      let total = 0;
      for (const [role, secondsPerMib] of Object.entries(cpu)) {
        sample[`${name}.cpu.${role}`] = secondsPerMib;
        total += secondsPerMib;
      }
      sample[`${name}.cpu.all`] = total;
      return sample;
    },
  };
}

/** What an iperf3 run gave. */
export interface BulkResult {
  readonly mibPerSecond: number;
  /** CPU seconds per MiB by process. */
  readonly cpu: Sample;
}

/** Runs iperf3 once through a contender. */
export async function bulkTransfer(
  contender: Contender,
  { place }: Surroundings,
  options: { readonly streams: number; readonly direction: Direction; readonly seconds: number },
): Promise<BulkResult> {
  const { host, port } = contender.entrances.bulk;
  const { streams, direction, seconds } = options;
  const [program, ...args] = [
    ...place.edgePrefix,
    ...["iperf3", "-c", host, "-p", String(port), "-t", String(seconds)],
    ...["-P", String(streams), "-J", "--connect-timeout", "3000"],
    ...(direction === "down" ? ["-R"] : []),
  ];
  // The server serves one test at a time and may still be busy with the end of the last.
  return waitUntil(
    `iperf3 through ${contender.peer.name}`,
    async () => {
      const before = contender.use();
      const { stdout } = await run(program ?? "", args, { timeoutMs: (seconds + 15) * 1_000 });
      const after = contender.use();
      const report = JSON.parse(stdout) as Report;
      if (report.error !== undefined) throw new Error(report.error);
      const bytes = report.end?.sum_received?.bytes ?? 0;
      const tookSeconds = report.end?.sum_received?.seconds ?? 0;
      if (bytes === 0 || tookSeconds === 0) throw new Error("nothing arrived");
      const mib = bytes / 1_048_576;
      const cpu = Object.entries(after).map(
        ([role, use]) => [role, (use.cpuSeconds - (before[role]?.cpuSeconds ?? 0)) / mib] as const,
      );
      return { mibPerSecond: mib / tookSeconds, cpu: Object.fromEntries(cpu) };
    },
    { withinMs: 10_000, everyMs: 200 },
  );
}

/** What of iperf3's JSON is read. */
interface Report {
  readonly error?: string;
  readonly end?: { readonly sum_received?: { readonly bytes: number; readonly seconds: number } };
}
