import { millis, sleep, systemClock } from "@culvert/runtime";
import { Stage, type BenchPlan } from "../bench.ts";
import type { Contender, Surroundings } from "../contender.ts";
import { bulkTransfer } from "../loads/bulk.ts";
import { culvertPeer, type CulvertOptions } from "../peers/culvert.ts";
import { describeMachine, firstLine, type Machine } from "../results.ts";

/** What the growth bench found. */
export interface Growth {
  readonly startedAt: string;
  readonly machine: Machine;
  readonly path: string;
  readonly connections: readonly ConnectionRow[];
  readonly servers: readonly ServerRow[];
  /** Rows that could not be measured, and why. */
  readonly failures: readonly string[];
}

/** Costs while so many connections are open. */
export interface ConnectionRow {
  readonly open: number;
  /** CPU seconds per MiB there and back, in blocks of 16 KiB over all of them. */
  readonly cpuPerMib: PerProcess;
  /** Resident memory above that before the first of them was opened, bytes. */
  readonly memory: PerProcess;
  /** Connect to first byte of one more, milliseconds. */
  readonly p50: number;
  readonly p99: number;
}

/** Costs while so many servers are attached. */
export interface ServerRow {
  readonly attached: number;
  readonly relayMemory: number;
  /** Percent of a core while nothing is forwarded. */
  readonly relayIdleCpu: number;
  /** CPU seconds of the relay per MiB of one bulk stream. */
  readonly relayCpuPerMib: number;
  readonly p50: number;
  readonly p99: number;
}

/** One value for each of our processes. */
export type PerProcess = Readonly<Record<string, number>>;

/** Measures ours at rising numbers of connections and of attached servers; each number with processes of its own. */
export async function runGrowth(plan: BenchPlan, options: CulvertOptions): Promise<Growth> {
  const started = { startedAt: new Date().toISOString(), machine: describeMachine() };
  const stage = new Stage(plan);
  try {
    const surroundings = await stage.open();
    const { growthConnections, growthServers } = plan.sizes;
    const connections = await eachRow(growthConnections, (open) => {
      plan.progress(`${open} connections`);
      return withFresh(stage, options, (ours) => connectionRow(ours, surroundings, open));
    });
    const servers = await eachRow(growthServers, (attached) => {
      plan.progress(`${attached} servers`);
      return withFresh(stage, { ...options, fleet: attached - 1 }, (ours) =>
        serverRow(ours, surroundings, attached),
      );
    });
    const failures = [
      ...connections.failures.map((each) => `${each.at} connections: ${each.reason}`),
      ...servers.failures.map((each) => `${each.at} servers: ${each.reason}`),
    ];
    const path = plan.place.description;
    return { ...started, path, connections: connections.rows, servers: servers.rows, failures };
  } finally {
    await stage.close();
  }
}

/** Measures a row at each number; one that fails is told with its reason, and the others go on. */
export async function eachRow<T>(
  numbers: readonly number[],
  measure: (at: number) => Promise<T>,
): Promise<{
  readonly rows: readonly T[];
  readonly failures: readonly { readonly at: number; readonly reason: string }[];
}> {
  const rows: T[] = [];
  const failures: { at: number; reason: string }[] = [];
  for (const at of numbers) {
    try {
      rows.push(await measure(at));
    } catch (error) {
      failures.push({ at, reason: firstLine(error) });
    }
  }
  return { rows, failures };
}

async function withFresh<T>(
  stage: Stage,
  options: CulvertOptions,
  measure: (ours: Contender) => Promise<T>,
): Promise<T> {
  const ours = await stage.fresh(culvertPeer(options));
  try {
    return await measure(ours);
  } finally {
    await ours.close();
  }
}

async function connectionRow(
  ours: Contender,
  { generator }: Surroundings,
  open: number,
): Promise<ConnectionRow> {
  const entrance = ours.entrances.echo;
  await warm(ours, generator);
  const before = ours.use();
  try {
    await generator.call("hold", { ...entrance, total: open });
    await settle();
    const idle = ours.use();
    const more = await generator.call("connections", {
      ...entrance,
      parallel: 1,
      seconds: 20,
      count: 300,
    });
    const start = ours.use();
    const { bytes } = await generator.call("exchange", {
      blockBytes: 16_384,
      totalBytes: exchangedBytes,
    });
    const end = ours.use();
    return {
      open,
      memory: eachProcess(idle, (role) => rss(idle, role) - rss(before, role)),
      cpuPerMib: eachProcess(end, (role) => ((cpu(end, role) - cpu(start, role)) * mib) / bytes),
      p50: more.firstByte.p50,
      p99: more.firstByte.p99,
    };
  } finally {
    await generator.call("release", null);
  }
}

async function serverRow(
  ours: Contender,
  surroundings: Surroundings,
  attached: number,
): Promise<ServerRow> {
  const { generator } = surroundings;
  const entrance = ours.entrances.echo;
  await warm(ours, generator);
  await settle();
  const start = { at: systemClock.now(), ...ours.relayUse() };
  await sleep(systemClock, millis(10_000));
  const end = { at: systemClock.now(), ...ours.relayUse() };
  const more = await generator.call("connections", {
    ...entrance,
    parallel: 1,
    seconds: 20,
    count: 300,
  });
  const bulk = await bulkTransfer(ours, surroundings, {
    streams: 1,
    direction: "up",
    seconds: 3,
  });
  return {
    attached,
    relayMemory: end.rssBytes,
    relayIdleCpu: ((end.cpuSeconds - start.cpuSeconds) / (end.at - start.at)) * 1_000 * 100,
    relayCpuPerMib: bulk.cpu["relay"] ?? Number.NaN,
    p50: more.firstByte.p50,
    p99: more.firstByte.p99,
  };
}

/** Compiled and with what is allocated once allocated, or the first row would look dear. */
async function warm(ours: Contender, generator: Surroundings["generator"]): Promise<void> {
  const entrance = ours.entrances.echo;
  await generator.call("connections", { ...entrance, parallel: 8, seconds: 10, count: 1_000 });
  await settle();
}

function settle(): Promise<void> {
  return sleep(systemClock, millis(1_000));
}

function eachProcess(use: ReturnType<Contender["use"]>, value: (role: string) => number) {
  return Object.fromEntries(Object.keys(use).map((role) => [role, value(role)]));
}

function cpu(use: ReturnType<Contender["use"]>, role: string): number {
  return use[role]?.cpuSeconds ?? Number.NaN;
}

function rss(use: ReturnType<Contender["use"]>, role: string): number {
  return use[role]?.rssBytes ?? Number.NaN;
}

const mib = 1_048_576;
const exchangedBytes = 96 * mib;
