import { firstLine } from "../results.ts";
import type { Part } from "./part.ts";

/** Where the parts of a run go. */
export interface PartSinks {
  /** Keeps a file among the results. */
  readonly write: (file: string, text: string) => Promise<void>;
  /** Puts the text of a part into the document. */
  readonly fill: (part: Part, text: string) => Promise<void>;
  /** A line that stays on the terminal. */
  readonly say: (line: string) => void;
  /** Milliseconds on a clock that never goes back. */
  readonly now: () => number;
}

/** What a run gave. */
export interface PartsReport {
  readonly text: string;
  /** What could not be measured or written, one line each; none where all went well. */
  readonly problems: readonly string[];
}

/**
 * Measures part after part and keeps each as soon as it is done, so that an interrupted run leaves what it has. A part that fails
 * is told as such where its tables would stand, and the next goes on; this never rejects for a part's sake.
 */
export async function runParts(parts: readonly Part[], sinks: PartSinks): Promise<PartsReport> {
  const start = sinks.now();
  const planned = parts.reduce((sum, { plannedSeconds }) => sum + plannedSeconds, 0);
  sinks.say(
    `${parts.length} part${parts.length === 1 ? "" : "s"}, about ${minutes(planned)} minutes on a quiet machine`,
  );
  const texts: string[] = [];
  const problems: string[] = [];
  for (const part of parts) {
    const done = await runPart(part, sinks);
    texts.push(done.text);
    problems.push(...done.problems.map((each) => `${part.name}: ${each}`));
    const elapsed = minutes((sinks.now() - start) / 1_000);
    const outcome = done.problems.length === 0 ? "done" : done.problems.join("; ");
    sinks.say(`${elapsed} of about ${minutes(planned)} minutes: ${part.name}: ${outcome}`);
  }
  return { text: texts.join("\n"), problems };
}

async function runPart(part: Part, sinks: PartSinks): Promise<PartsReport> {
  const problems: string[] = [];
  let body: string;
  try {
    const measured = await part.measure();
    body = measured.text;
    problems.push(...measured.problems);
    const json = `${JSON.stringify(measured.json, undefined, 2)}\n`;
    await orTold(problems, () => sinks.write(`document-${part.name}.json`, json));
  } catch (error) {
    body = `Not measured: ${firstLine(error)}.\n`;
    problems.push(`not measured: ${firstLine(error)}`);
  }
  const text = `### ${part.title}\n\n${body}`;
  await orTold(problems, () => sinks.write(`document-${part.name}.md`, text));
  await orTold(problems, () => sinks.fill(part, text));
  return { text, problems };
}

/** A disk that is full or a document that is gone costs a file, not the numbers of the parts to come. */
async function orTold(problems: string[], write: () => Promise<void>): Promise<void> {
  try {
    await write();
  } catch (error) {
    problems.push(`not written: ${firstLine(error)}`);
  }
}

function minutes(seconds: number): string {
  return (seconds / 60).toFixed(1);
}
