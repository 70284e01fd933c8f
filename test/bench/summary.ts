import { run } from "../support/child.ts";
import { culvert } from "../support/culvert.ts";
import { findProgram } from "../support/requires.ts";
import { describeAim, measuresFor, meets } from "./measures.ts";
import { roundsOf, succeeded, type Results } from "./results.ts";
import { pairedRatio, summarize, type Summary } from "./statistics.ts";

/** What the rounds of one measure come to. */
export interface MeasureSummary {
  readonly title: string;
  readonly unit: string;
  readonly contenders: Readonly<Record<string, Summary>>;
  /** Ours to ssh, round by round; absent where one of the two was not measured. */
  readonly ratioToSsh?: Summary;
  /** Absent where there is none. */
  readonly aim?: string;
  /** Absent where there is no aim, or nothing to hold against it. */
  readonly met?: boolean;
}

/** Every measure that was taken, as the tables show it, by its id. */
export function summaryOf(results: Results): Readonly<Record<string, MeasureSummary>> {
  const ours = results.contenders[0]?.name ?? "";
  const taken = measuresFor(results.contenders[0]).filter(
    ({ id }) => results.values[id] !== undefined,
  );
  return Object.fromEntries(
    taken.map(({ id, title, unit, aim }) => {
      const contenders = Object.fromEntries(
        results.contenders.flatMap(({ name }) => {
          const summary = summarize(succeeded(roundsOf(results, id, name)));
          return summary === undefined ? [] : [[name, summary] as const];
        }),
      );
      const ratio = pairedRatio(roundsOf(results, id, ours), roundsOf(results, id, "ssh"));
      const met = meets(aim, contenders[ours]?.median, ratio?.median);
      const summary: MeasureSummary = {
        ...{ title, unit, contenders },
        ...(ratio === undefined ? {} : { ratioToSsh: ratio }),
        ...(aim === undefined ? {} : { aim: describeAim(aim) }),
        ...(met === undefined ? {} : { met }),
      };
      return [id, summary];
    }),
  );
}

/** What was measured with what: the first line that each program says of its version. Programs that are not here are left out. */
export async function softwareVersions(): Promise<Readonly<Record<string, string>>> {
  const asked: readonly (readonly [string, readonly string[]])[] = [
    ["ssh", ["-V"]],
    ["iperf3", ["--version"]],
  ];
  const versions: Record<string, string> = {
    culvert: firstLineOf((await culvert(["--version"])).stdout),
  };
  const here = asked.filter(([program]) => findProgram(program) !== undefined);
  for (const [program, args] of here) {
    const { stdout, stderr } = await run(findProgram(program) ?? program, args);
    versions[program] = firstLineOf(stdout === "" ? stderr : stdout);
  }
  // Outside of a checkout there is no commit to name.
  if (findProgram("git") === undefined) return versions;
  const commit = await run("git", ["rev-parse", "HEAD"], { cwd: import.meta.dirname });
  return commit.code === 0 ? { ...versions, commit: firstLineOf(commit.stdout) } : versions;
}

function firstLineOf(text: string): string {
  return text.split("\n")[0]?.trim() ?? "";
}
