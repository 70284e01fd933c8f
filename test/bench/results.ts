import { mkdir, writeFile } from "node:fs/promises";
import { cpus, loadavg, release, totalmem } from "node:os";
import { join } from "node:path";
import type { Aim } from "./measures.ts";

/** Everything that a bench found; what `latest.json` holds. */
export interface Results {
  readonly startedAt: string;
  readonly machine: Machine;
  readonly path: string;
  /** Of the measures with the most. */
  readonly rounds: number;
  /** What was asked for on the command line. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Ours first. */
  readonly contenders: readonly ContenderName[];
  /** By measure, by contender: one value per round, null where the round failed. */
  readonly values: Readonly<Record<string, Readonly<Record<string, readonly (number | null)[]>>>>;
  readonly failures: readonly Failure[];
  /** What was left out and why. */
  readonly leftOut: readonly string[];
}

/** A contender as tables and charts know it. */
export interface ContenderName {
  readonly name: string;
  readonly title: string;
  /** It is left out where more connections than that are to be open. */
  readonly mostOpen?: number;
  /** Ours alone: the aim of its bulk transfers, where it is not that of the table. */
  readonly bulkAim?: Aim;
}

/** A round that gave nothing. */
export interface Failure {
  readonly load: string;
  readonly contender: string;
  readonly round: number;
  readonly error: string;
}

/** What the numbers were measured on. */
export interface Machine {
  readonly processor: string;
  readonly cores: number;
  readonly memoryGib: number;
  readonly kernel: string;
  readonly node: string;
  /** Load average of the last minute at the start: other work on the machine. */
  readonly loadAtStart: number;
}

/** This machine. */
export function describeMachine(): Machine {
  const all = cpus();
  return {
    processor: all[0]?.model.trim() ?? "unknown",
    cores: all.length,
    memoryGib: Math.round(totalmem() / 1_073_741_824),
    kernel: release(),
    node: process.version,
    loadAtStart: loadavg()[0] ?? 0,
  };
}

/** Values while they come in. */
export class Recorder {
  readonly #values: Record<string, Record<string, (number | null)[]>> = {};
  readonly failures: Failure[] = [];

  /** Keeps the values of a round. */
  keep(contender: string, round: number, sample: Readonly<Record<string, number>>): void {
    for (const [measure, value] of Object.entries(sample)) {
      const rounds = ((this.#values[measure] ??= {})[contender] ??= []);
      while (rounds.length < round) rounds.push(null);
      rounds[round] = value;
    }
  }

  get values(): Results["values"] {
    return this.#values;
  }
}

/** The rounds of a measure as numbers, `undefined` for those that failed. */
export function roundsOf(
  results: Results,
  measure: string,
  contender: string,
): readonly (number | undefined)[] {
  return (results.values[measure]?.[contender] ?? []).map((value) => value ?? undefined);
}

/** The rounds that succeeded. */
export function succeeded(rounds: readonly (number | undefined)[]): readonly number[] {
  return rounds.filter((value) => value !== undefined);
}

/** Writes a file of the results folder, which is made if need be. */
export async function writeResult(folder: string, name: string, text: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, name), text);
}

/** What went wrong, as it fits into a table. */
export function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split("\n")[0] ?? "";
}
