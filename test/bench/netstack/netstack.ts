import { short, table } from "../table.ts";
import { describeMachine, type Machine } from "../results.ts";
import { median, summarize } from "../statistics.ts";
import { transferBackToBack, type Transfer } from "./back-to-back.ts";

/** What the bench of the packet stack found. */
export interface NetstackResults {
  readonly startedAt: string;
  readonly machine: Machine;
  readonly segments: readonly SegmentRow[];
}

/** The rounds of one segment size. */
export interface SegmentRow {
  readonly mss: number;
  /** MiB/s that the median must reach, where there is an aim. */
  readonly aim?: number;
  readonly transfers: readonly Transfer[];
}

/** Measures two stacks of one process back to back, each segment size in turn; one more round before the counted ones warms up. */
export async function runNetstackBench(
  rounds: number,
  progress: (line: string) => void,
): Promise<NetstackResults> {
  const started = { startedAt: new Date().toISOString(), machine: describeMachine() };
  const transfers = new Map<number, Transfer[]>();
  for (let round = 0; round <= rounds; round += 1) {
    for (const { mss, mebibytes } of sizes) {
      progress(`round ${round} of ${rounds}: segments of ${mss} bytes`);
      const transfer = await transferBackToBack(mss, mebibytes);
      if (round > 0) transfers.set(mss, [...(transfers.get(mss) ?? []), transfer]);
    }
  }
  const rowOf = ({ mss, aim }: (typeof sizes)[number]): SegmentRow => ({
    mss,
    ...(aim === undefined ? {} : { aim }),
    transfers: transfers.get(mss) ?? [],
  });
  return { ...started, segments: sizes.map(rowOf) };
}

/** The results as a table in Markdown. */
export function netstackTable({ machine, segments }: NetstackResults): string {
  const head = `Two stacks back to back in one process; ${machine.cores} cores (${machine.processor}), Node ${machine.node}, load average at the start ${machine.loadAtStart.toFixed(1)}.`;
  const rows = segments.map(({ mss, aim, transfers }) => {
    const speed = summarize(transfers.map(({ mebibytes, seconds }) => mebibytes / seconds));
    const cpu = median(transfers.map(({ mebibytes, cpuSeconds }) => cpuSeconds / mebibytes));
    const packets = median(transfers.map((each) => each.packets / each.mebibytes));
    const speedText =
      speed === undefined ? "-" : `${short(speed.median)} ± ${(speed.spread * 100).toFixed(0)} %`;
    return [
      mss.toLocaleString("en"),
      speedText,
      short(cpu * 1_000),
      short(packets),
      aim === undefined ? "" : `>= ${aim}`,
      aim === undefined ? "" : (speed?.median ?? 0) >= aim ? "yes" : "NO",
    ];
  });
  const titles = ["segment bytes", "MiB/s", "CPU ms/MiB", "packets/MiB", "aim", "met"];
  return `${head}\n\n${table(titles, rows)}\n`;
}

const sizes: readonly { mss: number; mebibytes: number; aim?: number }[] = [
  { mss: 65_495, mebibytes: 1_024, aim: 400 },
  { mss: 32_768, mebibytes: 1_024 },
  { mss: 8_960, mebibytes: 512 },
  { mss: 1_460, mebibytes: 256, aim: 80 },
];
