import { readFile, writeFile } from "node:fs/promises";
import { format, resolveConfig } from "prettier";
import type { BenchPlan } from "../bench.ts";
import { writeResult } from "../results.ts";
import { fillPart } from "./marks.ts";
import type { Part } from "./part.ts";
import { partsOf } from "./parts.ts";
import { runParts, type PartsReport } from "./run-parts.ts";

/** What of the document is measured, and where it goes. */
export interface DocumentRun {
  /** Names of parts; all unless given. */
  readonly wanted?: readonly string[] | undefined;
  /** The document, whose marked sections are filled. */
  readonly file: string;
  /** The folder of results. */
  readonly folder: string;
  /** A line that stays on the terminal. */
  readonly say: (line: string) => void;
}

/** Measures what docs/performance.md shows (the comparison, the growth, engines by path), part by part, and fills it in. Throws at once where a wanted part does not exist. */
export async function measureForDocument(plan: BenchPlan, run: DocumentRun): Promise<PartsReport> {
  const { wanted, file, folder, say } = run;
  const all = partsOf(plan, folder);
  const unknown = wanted?.find((name) => !all.some((part) => part.name === name));
  if (unknown !== undefined) {
    const known = all.map(({ name }) => name).join(", ");
    throw new Error(`There is no part ${unknown} of the document, only ${known}.`);
  }
  return runParts(
    all.filter(({ name }) => wanted?.includes(name) ?? true),
    {
      write: (name, text) => writeResult(folder, name, text),
      fill: (part, text) => fill(file, all, part, text),
      say,
      now: () => performance.now(),
    },
  );
}

async function fill(file: string, all: readonly Part[], part: Part, text: string): Promise<void> {
  const parts = all.filter(({ section }) => section === part.section).map(({ name }) => name);
  const before = await readFile(file, "utf8");
  const filled = fillPart(before, { name: part.section, parts }, part.name, text);
  await writeFile(file, await format(filled, { ...(await resolveConfig(file)), filepath: file }));
}
