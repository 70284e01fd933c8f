/** What a measure is to reach: a multiple of what ssh does in the same run, or a value of its own. */
export type Aim =
  | { readonly atLeastTimes: number }
  | { readonly atMostTimes: number }
  | { readonly atMost: number }
  | { readonly below: number };

/** One line of the table and one chart. */
export interface Measure {
  readonly id: string;
  readonly title: string;
  readonly unit: string;
  readonly aim?: Aim;
  /** For the chart's subtitle. */
  readonly better: "more" | "less";
}

/** A measure that is taken at several numbers of open connections, as `id@NUMBER`. */
export interface SeriesMeasure extends Measure {
  readonly along: string;
}

/** Every line of the table of aims, in its order, and the lines that explain them. */
export const measures: readonly Measure[] = [
  bulk(1, "up"),
  bulk(1, "down"),
  bulk(16, "up"),
  bulk(16, "down"),
  {
    id: "connect-rate",
    title: "new connections, 16 at a time",
    unit: "1/s",
    better: "more",
    aim: { atLeastTimes: 2 },
  },
  latency("connect-p50", "to first byte, one at a time, p50", { atMostTimes: 0.5 }),
  latency("connect-p99", "to first byte, one at a time, p99", { atMostTimes: 0.5 }),
  latency("connect-busy-p50", "to first byte, 16 at a time, p50", { atMostTimes: 0.5 }),
  latency("connect-busy-p99", "to first byte, 16 at a time, p99", { atMostTimes: 0.5 }),
  {
    id: "connect-cpu",
    title: "CPU of all per new connection",
    unit: "ms",
    better: "less",
  },
  latency("echo-p50", "echo round trip, idle, p50", { atMostTimes: 1 }),
  latency("echo-p99", "echo round trip, idle, p99", { atMostTimes: 1 }),
  latency("echo-bulk-p50", "echo round trip beside bulk, p50"),
  latency("echo-bulk-p99", "echo round trip beside bulk, p99", { atMostTimes: 0.5 }),
  {
    id: "echo-bulk-mib",
    title: "bulk beside that echo",
    unit: "MiB/s",
    better: "more",
  },
  {
    id: "idle-memory",
    title: "relay memory per idle connection",
    unit: "KiB",
    better: "less",
    aim: { atMost: 30 },
  },
  {
    id: "idle-cpu",
    title: "relay CPU with idle connections",
    unit: "% core",
    better: "less",
    aim: { below: 1 },
  },
  {
    id: "restart",
    title: "relay restart to new connection",
    unit: "ms",
    better: "less",
    aim: { atMost: 1_000 },
  },
  {
    id: "crash",
    title: "relay crash to new connection",
    unit: "ms",
    better: "less",
  },
  {
    id: "open-growth",
    title: "one more at most : fewest open",
    unit: "times",
    better: "less",
    // "Flat", with room for the noise of a shared machine.
    aim: { atMost: 1.25 },
  },
];

/** Those drawn as lines over the number of open connections. */
export const seriesMeasures: readonly SeriesMeasure[] = [
  { ...latency("open-p50", "one more connection, to its first byte, p50"), along: openAlong() },
  {
    id: "open-cpu",
    title: "one more connection, CPU of all processes",
    unit: "ms",
    better: "less",
    along: openAlong(),
  },
];

/** The measures with the aim of bulk that ours has by what carries its sessions; that of the table where it has none of its own. */
export function measuresFor(ours: { readonly bulkAim?: Aim } | undefined): readonly Measure[] {
  const aim = ours?.bulkAim;
  if (aim === undefined) return measures;
  return measures.map((each) => (each.id.startsWith("bulk-") ? { ...each, aim } : each));
}

/** The aim in words: `>= 1.25 x ssh`. */
export function describeAim(aim: Aim | undefined): string {
  if (aim === undefined) return "";
  if ("atLeastTimes" in aim) return `>= ${aim.atLeastTimes} x ssh`;
  if ("atMostTimes" in aim) return `<= ${aim.atMostTimes} x ssh`;
  return "below" in aim ? `< ${aim.below}` : `<= ${aim.atMost}`;
}

/** Whether a value (or its ratio to that of ssh) reaches the aim; undefined where there is none or nothing to compare with. */
export function meets(
  aim: Aim | undefined,
  value: number | undefined,
  ratio: number | undefined,
): boolean | undefined {
  if (aim === undefined) return undefined;
  if ("atMost" in aim) return value === undefined ? undefined : value <= aim.atMost;
  if ("below" in aim) return value === undefined ? undefined : value < aim.below;
  if (ratio === undefined) return undefined;
  return "atLeastTimes" in aim ? ratio >= aim.atLeastTimes : ratio <= aim.atMostTimes;
}

function bulk(streams: number, direction: "up" | "down"): Measure {
  return {
    id: `bulk-${streams}-${direction}`,
    title: `bulk, ${streams} stream${streams === 1 ? "" : "s"}, ${direction}`,
    unit: "MiB/s",
    better: "more",
    aim: { atLeastTimes: 1.25 },
  };
}

function latency(id: string, title: string, aim?: Aim): Measure {
  return { id, title, unit: "ms", better: "less", ...(aim === undefined ? {} : { aim }) };
}

function openAlong(): string {
  return "connections open";
}
