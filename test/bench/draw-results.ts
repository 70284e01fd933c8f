import { drawBars, drawLines } from "./chart.ts";
import { describeAim, measuresFor, seriesMeasures, type Aim, type Measure } from "./measures.ts";
import { seriesLevels } from "./report-table.ts";
import { roundsOf, succeeded, writeResult, type Results } from "./results.ts";
import { summarize } from "./statistics.ts";

/** Writes one SVG for each measure of the results; gives their file names. */
export async function drawResults(results: Results, folder: string): Promise<readonly string[]> {
  const files: string[] = [];
  for (const measure of measuresFor(results.contenders[0])) {
    if (results.values[measure.id] === undefined) continue;
    files.push(`${measure.id}.svg`);
    await writeResult(folder, `${measure.id}.svg`, barsOf(results, measure));
  }
  for (const measure of seriesMeasures) {
    const levels = seriesLevels(results, measure.id);
    if (levels.length < 2) continue;
    const lines = results.contenders.map(({ name, title }, index) => ({
      label: title,
      ours: index === 0,
      points: levels.flatMap((x) => {
        const y = medianOf(results, `${measure.id}@${x}`, name);
        return y === undefined ? [] : [{ x, y }];
      }),
    }));
    const chart = {
      title: measure.title,
      subtitle: `${measure.unit}, ${measure.better} is better; flat is the aim; ${results.path}`,
      xTitle: measure.along,
      unit: measure.unit,
      lines: lines.filter(({ points }) => points.length > 0),
    };
    files.push(`${measure.id}.svg`);
    await writeResult(folder, `${measure.id}.svg`, drawLines(chart));
  }
  return files;
}

function barsOf(results: Results, measure: Measure): string {
  const bars = results.contenders.flatMap(({ name, title }, index) => {
    const rounds = succeeded(roundsOf(results, measure.id, name));
    const summary = summarize(rounds);
    if (summary === undefined) return [];
    return [{ label: title, median: summary.median, rounds, ours: index === 0 }];
  });
  const value = aimValue(measure.aim, medianOf(results, measure.id, "ssh"));
  return drawBars({
    title: measure.title,
    subtitle: `${measure.unit}, ${measure.better} is better; bar: median, dots: rounds; ${results.path}`,
    unit: measure.unit,
    bars,
    aim:
      value === undefined
        ? undefined
        : { value, label: `aim ${describeAim(measure.aim).replace(">=", "≥").replace("<=", "≤")}` },
  });
}

function aimValue(aim: Aim | undefined, ssh: number | undefined): number | undefined {
  if (aim === undefined) return undefined;
  if ("atMost" in aim) return aim.atMost;
  if ("below" in aim) return aim.below;
  if (ssh === undefined) return undefined;
  return ssh * ("atLeastTimes" in aim ? aim.atLeastTimes : aim.atMostTimes);
}

function medianOf(results: Results, measure: string, contender: string): number | undefined {
  return summarize(succeeded(roundsOf(results, measure, contender)))?.median;
}
