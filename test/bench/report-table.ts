import { describeAim, measures, meets, seriesMeasures, type Measure } from "./measures.ts";
import { roundsOf, succeeded, type Results } from "./results.ts";
import { pairedRatio, summarize, type Summary } from "./statistics.ts";

/** The contender that is ours a second time: its ratio to the first shows how much is noise. */
export const controlName = "culvert-again";

/** The contender that is another checkout of ours. */
export const otherName = "culvert-other";

/** The report as Markdown that also reads well on a terminal. */
export function reportTables(results: Results): string {
  const parts = [
    heading(results),
    table(headRow(results), measureRows(results)),
    section("CPU seconds per MiB", cpuTable(results)),
    ...seriesMeasures.map((measure) =>
      section(`${measure.title}, ${measure.unit}`, seriesTable(results, measure)),
    ),
    listing("Failed", failureLines(results)),
    listing("Left out", results.leftOut),
  ];
  return `${parts.filter((part) => part !== "").join("\n\n")}\n`;
}

/** A Markdown table with its columns aligned; the first column to the left, the others to the right. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((cell, column) =>
    Math.max(3, cell.length, ...rows.map((row) => (row[column] ?? "").length)),
  );
  const line = (cells: readonly string[]): string =>
    `| ${widths.map((width, column) => pad(cells[column] ?? "", width, column)).join(" | ")} |`;
  const rule = widths.map((width, column) =>
    column === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`,
  );
  return [line(head), line(rule), ...rows.map(line)].join("\n");
}

/** A number with two or three significant digits and no exponent. */
export function short(value: number): string {
  if (!Number.isFinite(value)) return "-";
  const size = Math.abs(value);
  if (size >= 100) return Math.round(value).toLocaleString("en");
  if (size >= 10) return value.toFixed(1);
  if (size >= 0.1 || size === 0) return value.toFixed(2);
  return value.toFixed(Math.min(8, 1 - Math.floor(Math.log10(size))));
}

function pad(cell: string, width: number, column: number): string {
  return column === 0 ? cell.padEnd(width) : cell.padStart(width);
}

function heading({ machine, path, rounds }: Results): string {
  return `${machine.cores} cores (${machine.processor}), Linux ${machine.kernel}, Node ${machine.node}, path: ${path}, ${rounds} rounds; load average at the start ${machine.loadAtStart.toFixed(1)}. Medians, ± half the range.`;
}

function headRow({ contenders }: Results): readonly string[] {
  const names = contenders.map(({ title }) => title);
  const noise = has(contenders, controlName) ? ["noise: again / first"] : [];
  const change = has(contenders, otherName) ? ["this / the other checkout"] : [];
  return ["measure", "unit", ...names, ...noise, ...change, "ratio to ssh", "aim", "met"];
}

function measureRows(results: Results): readonly (readonly string[])[] {
  return measures
    .filter(({ id }) => results.values[id] !== undefined)
    .map((measure) => [
      measure.title,
      measure.unit,
      ...results.contenders.map(({ name }) => cell(results, measure.id, name)),
      ...(has(results.contenders, controlName)
        ? [ratioCell(ratioOf(results, measure.id, [controlName, ours(results)]))]
        : []),
      ...(has(results.contenders, otherName)
        ? [ratioCell(ratioOf(results, measure.id, [ours(results), otherName]))]
        : []),
      ...verdict(results, measure),
    ]);
}

function verdict(results: Results, { id, aim }: Measure): readonly string[] {
  const rounds = roundsOf(results, id, ours(results));
  const ratio = pairedRatio(rounds, roundsOf(results, id, "ssh"));
  const met = meets(aim, summarize(succeeded(rounds))?.median, ratio?.median);
  return [ratioCell(ratio), describeAim(aim), met === undefined ? "" : met ? "yes" : "NO"];
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
  return `${short(ratio.median)} (${short(ratio.min)} to ${short(ratio.max)})`;
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
  const bulk = measures.filter(({ id }) => results.values[`${id}.cpu.all`] !== undefined);
  if (bulk.length === 0) return "";
  const rows = results.contenders.flatMap(({ name, title }) =>
    ["client", "relay", "server", "all"]
      .map((role) => [
        `${title}, ${role}`,
        ...bulk.map(({ id }) => cell(results, `${id}.cpu.${role}`, name)),
      ])
      .filter((row) => row.slice(1).some((each) => each !== "-")),
  );
  return table(["process", ...bulk.map(({ title }) => title)], rows);
}

function seriesTable(results: Results, { id, along }: { id: string; along: string }): string {
  const levels = seriesLevels(results, id);
  if (levels.length === 0) return "";
  const rows = levels.map((level) => [
    level.toLocaleString("en"),
    ...results.contenders.map(({ name }) => cell(results, `${id}@${level}`, name)),
  ]);
  return table([along, ...results.contenders.map(({ title }) => title)], rows);
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
