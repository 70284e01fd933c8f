import { describeAim, measuresFor, meets, seriesMeasures, type Measure } from "./measures.ts";
import { roundsOf, succeeded, type ContenderName, type Results } from "./results.ts";
import { columnTable, short, table, tablesWithin, type Column } from "./table.ts";
import { pairedRatio, summarize, type Summary } from "./statistics.ts";

/** The contender that is ours a second time: its ratio to the first shows how much is noise. */
export const controlName = "culvert-again";

/** The contender that is another checkout of ours. */
export const otherName = "culvert-other";

/** The report as Markdown that also reads well on a terminal. */
export function reportTables(results: Results): string {
  const parts = [
    heading(results),
    ...measureTables(results),
    section("CPU seconds per MiB", cpuTable(results)),
    ...seriesMeasures.map((measure) =>
      section(`${measure.title}, ${measure.unit}`, seriesTable(results, measure)),
    ),
    listing("Failed", failureLines(results)),
    listing("Left out", results.leftOut),
  ];
  return `${parts.filter((part) => part !== "").join("\n\n")}\n`;
}

function heading({ startedAt, machine, path, rounds }: Results): string {
  return `${startedAt.slice(0, 10)}, ${machine.cores} cores (${machine.processor}), Linux ${machine.kernel}, Node ${machine.node}, path: ${path}, ${rounds} round${rounds === 1 ? "" : "s"}; load average at the start ${machine.loadAtStart.toFixed(1)}. Medians, ± half the range.`;
}

/** Ours, its control and ssh with ratio and aim first; every other contender after that, in tables that fit a terminal. */
function measureTables(results: Results): readonly string[] {
  const taken = measuresFor(results.contenders[0]).filter(
    ({ id }) => results.values[id] !== undefined,
  );
  if (taken.length === 0) return [];
  const { contenders } = results;
  const isMain = ({ name }: ContenderName, index: number): boolean =>
    index === 0 || [controlName, otherName, "ssh"].includes(name);
  const columnOf = ({ name, title }: ContenderName): Column => ({
    head: title,
    cells: taken.map(({ id }) => cell(results, id, name)),
  });
  const left = [
    { head: "measure", cells: taken.map(({ title }) => title) },
    { head: "unit", cells: taken.map(({ unit }) => unit) },
  ];
  const main = [...contenders.filter(isMain).map(columnOf), ...ratioColumns(results, taken)];
  const others = contenders.filter((each, index) => !isMain(each, index)).map(columnOf);
  return [columnTable([...left, ...main]), ...tablesWithin(terminalColumns, left, others)];
}

function ratioColumns(results: Results, taken: readonly Measure[]): readonly Column[] {
  const column = (head: string, value: (measure: Measure) => string): Column => ({
    head,
    cells: taken.map(value),
  });
  const between = (id: string, pair: readonly [string, string]): string =>
    ratioCell(ratioOf(results, id, pair));
  return [
    ...(has(results.contenders, controlName)
      ? [column("again / first", ({ id }) => between(id, [controlName, ours(results)]))]
      : []),
    ...(has(results.contenders, otherName)
      ? [column("this / other", ({ id }) => between(id, [ours(results), otherName]))]
      : []),
    column("ratio to ssh", (measure) => verdict(results, measure)[0]),
    column("aim", ({ aim }) => describeAim(aim)),
    column("met", (measure) => verdict(results, measure)[1]),
  ];
}

function verdict(results: Results, { id, aim }: Measure): readonly [ratio: string, met: string] {
  const rounds = roundsOf(results, id, ours(results));
  const ratio = pairedRatio(rounds, roundsOf(results, id, "ssh"));
  const met = meets(aim, summarize(succeeded(rounds))?.median, ratio?.median);
  return [ratioCell(ratio), met === undefined ? "" : met ? "yes" : "NO"];
}

function ratioOf(
  results: Results,
  id: string,
  [over, under]: readonly [string, string],
): Summary | undefined {
  return pairedRatio(roundsOf(results, id, over), roundsOf(results, id, under));
}

function ours({ contenders }: Results): string {
  return contenders[0]?.name ?? "";
}

function ratioCell(ratio: Summary | undefined): string {
  if (ratio === undefined) return "-";
  return `${short(ratio.median)} (${short(ratio.min)}–${short(ratio.max)})`;
}

function has(contenders: Results["contenders"], wanted: string): boolean {
  return contenders.some(({ name }) => name === wanted);
}

function cell(results: Results, measure: string, contender: string): string {
  const summary = summarize(succeeded(roundsOf(results, measure, contender)));
  if (summary === undefined) return "-";
  const spread = summary.rounds > 1 ? ` ± ${Math.round(summary.spread * 100)} %` : "";
  return `${short(summary.median)}${spread}`;
}

function cpuTable(results: Results): string {
  const bulk = measuresFor(results.contenders[0]).filter(
    ({ id }) => results.values[`${id}.cpu.all`] !== undefined,
  );
  if (bulk.length === 0) return "";
  const rows = results.contenders.flatMap(({ name, title }) =>
    ["client", "relay", "server", "all"]
      .map((role) => [
        `${title}, ${role}`,
        ...bulk.map(({ id }) => cell(results, `${id}.cpu.${role}`, name)),
      ])
      .filter((row) => row.slice(1).some((each) => each !== "-")),
  );
  return table(["process", ...bulk.map(({ title }) => title.replace("bulk, ", ""))], rows);
}

function seriesTable(results: Results, { id, along }: { id: string; along: string }): string {
  const levels = seriesLevels(results, id);
  if (levels.length === 0) return "";
  const left = [{ head: along, cells: levels.map((level) => level.toLocaleString("en")) }];
  const columns = results.contenders.map(({ name, title, mostOpen = Infinity }) => ({
    head: title,
    cells: levels.map((level) =>
      level > mostOpen ? "left out" : cell(results, `${id}@${level}`, name),
    ),
  }));
  return tablesWithin(terminalColumns, left, columns).join("\n\n");
}

/** The numbers at which a series was taken, rising. */
export function seriesLevels(results: Results, id: string): readonly number[] {
  return Object.keys(results.values)
    .filter((key) => key.startsWith(`${id}@`))
    .map((key) => Number(key.slice(id.length + 1)))
    .sort((a, b) => a - b);
}

function failureLines({ failures }: Results): readonly string[] {
  return failures.map(
    ({ load, contender, round, error }) =>
      `${load}, ${contender}, round ${round + 1}: ${error.split("\n")[0] ?? ""}`,
  );
}

function section(title: string, body: string): string {
  return body === "" ? "" : `${title}:\n\n${body}`;
}

function listing(title: string, lines: readonly string[]): string {
  return lines.length === 0 ? "" : `${title}:\n${lines.map((line) => `- ${line}`).join("\n")}`;
}

const terminalColumns = 120;
