/** One sample of the Prometheus text format. */
export interface Sample {
  readonly name: string;
  readonly labels: string;
  readonly value: number;
}

/** A page of metrics: the declared families in order, duplicates kept, and every sample. */
export interface MetricsPage {
  /** The names of `# TYPE` lines. */
  readonly families: readonly { readonly name: string; readonly type: string }[];
  readonly helps: readonly string[];
  readonly samples: readonly Sample[];
}

/** Fetches and parses a page. */
export async function fetchMetrics(port: number): Promise<MetricsPage> {
  const response = await fetch(`http://127.0.0.1:${port}/metrics`);
  if (!response.ok) throw new Error(`/metrics answered ${response.status}`);
  return parseMetrics(await response.text());
}

/** Parses the Prometheus text format, as far as prom-client writes it. */
export function parseMetrics(page: string): MetricsPage {
  const families: { name: string; type: string }[] = [];
  const helps: string[] = [];
  const samples: Sample[] = [];
  for (const line of page.split("\n")) {
    const type = /^# TYPE (\S+) (\S+)$/.exec(line);
    const help = /^# HELP (\S+) ./.exec(line);
    const sample = /^([A-Za-z_:][\w:]*)(\{.*\})? (\S+)$/.exec(line);
    if (type !== null) families.push({ name: type[1] ?? "", type: type[2] ?? "" });
    else if (help !== null) helps.push(help[1] ?? "");
    else if (sample !== null) {
      samples.push({
        name: sample[1] ?? "",
        labels: sample[2] ?? "",
        value: Number(sample[3]),
      });
    } else if (line !== "" && !line.startsWith("#")) throw new Error(`odd line: ${line}`);
  }
  return { families, helps, samples };
}

/** The sum of all samples of a name whose labels hold every given piece, such as `status="ok"`. */
export function total(page: MetricsPage, name: string, ...labelPieces: string[]): number {
  return page.samples
    .filter((each) => each.name === name && labelPieces.every((p) => each.labels.includes(p)))
    .reduce((sum, each) => sum + each.value, 0);
}
