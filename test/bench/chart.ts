/** One contender in a chart of a measure: a bar at the median and a dot for each round. */
export interface Bar {
  readonly label: string;
  readonly median: number;
  readonly rounds: readonly number[];
  /** Drawn in the strong colour. */
  readonly ours: boolean;
}

/** A chart of one measure. */
export interface BarChart {
  readonly title: string;
  readonly subtitle: string;
  readonly unit: string;
  readonly bars: readonly Bar[];
  /** Where the aim lies on the scale, and what to write there. */
  readonly aim?: { readonly value: number; readonly label: string } | undefined;
}

/** One line of a chart over a logarithmic scale. */
export interface Line {
  readonly label: string;
  readonly points: readonly { readonly x: number; readonly y: number }[];
  readonly ours: boolean;
}

/** A chart of how something grows. */
export interface LineChart {
  readonly title: string;
  readonly subtitle: string;
  readonly xTitle: string;
  readonly unit: string;
  readonly lines: readonly Line[];
}

/** Draws horizontal bars as an SVG document. */
export function drawBars(chart: BarChart): string {
  const top = 94;
  const step = 44;
  const bottom = top + chart.bars.length * step + 4;
  const widestLabel = Math.max(0, ...chart.bars.map(({ label }) => label.length));
  const left = Math.max(110, 24 + Math.ceil(widestLabel * 7.6));
  const right = width - 96;
  const greatest = Math.max(
    chart.aim?.value ?? 0,
    ...chart.bars.flatMap(({ median, rounds }) => [median, ...rounds]),
  );
  const scale = niceScale(greatest);
  const x = (value: number): number => left + ((right - left) * value) / scale.max;
  const parts = [
    ...titles(chart.title, chart.subtitle),
    ...scale.ticks.flatMap((tick) => [
      line(x(tick), top - 8, x(tick), bottom, "grid"),
      text(x(tick), bottom + 18, formatTick(tick), "tick", "middle"),
    ]),
    text(24, bottom + 18, chart.unit, "tick"),
    ...chart.bars.flatMap((bar, index) => drawBar(bar, left, top + index * step, x)),
    ...(chart.aim === undefined ? [] : aimLine(chart.aim, x, top, bottom, right)),
    ...chart.bars.map((bar, index) => drawValue(bar, top + index * step, x)),
  ];
  return svg(bottom + 36, chart.title, parts);
}

/** Draws lines over a logarithmic x axis and a linear y axis as an SVG document. */
export function drawLines(chart: LineChart): string {
  const [top, bottom, left] = [94, 334, 78];
  const widestLabel = Math.max(0, ...chart.lines.map(({ label }) => label.length));
  const right = width - Math.max(110, 28 + Math.ceil(widestLabel * 7.6));
  const points = chart.lines.flatMap(({ points }) => points);
  const scale = niceScale(Math.max(0, ...points.map(({ y }) => y)));
  const xs = [...new Set(points.map(({ x }) => x))].sort((a, b) => a - b);
  const [low, high] = [Math.log10(xs[0] ?? 1), Math.log10(xs.at(-1) ?? 10)];
  const x = (value: number): number =>
    high === low
      ? (left + right) / 2
      : left + ((right - left) * (Math.log10(value) - low)) / (high - low);
  const y = (value: number): number => bottom - ((bottom - top) * value) / scale.max;
  const ends = spreadLabels(
    chart.lines.map(({ points }) => y(points.at(-1)?.y ?? 0)),
    bottom,
  );
  const parts = [
    ...titles(chart.title, chart.subtitle),
    ...scale.ticks.flatMap((tick) => [
      line(left, y(tick), right, y(tick), "grid"),
      text(left - 8, y(tick) + 4, formatTick(tick), "tick", "end"),
    ]),
    text(left - 8, top - 14, chart.unit, "tick", "end"),
    ...xs.map((value) => text(x(value), bottom + 20, formatTick(value), "tick", "middle")),
    text((left + right) / 2, bottom + 42, chart.xTitle, "tick", "middle"),
    ...chart.lines.flatMap((each, index) => {
      const colour = lineColour(each.ours, index);
      const path = each.points.map((p) => `${round(x(p.x))},${round(y(p.y))}`).join(" ");
      return [
        `<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="${each.ours ? 3 : 2}" stroke-linejoin="round"/>`,
        ...each.points.map(
          (p) => `<circle cx="${round(x(p.x))}" cy="${round(y(p.y))}" r="3.5" fill="${colour}"/>`,
        ),
        `<text x="${round(x(each.points.at(-1)?.x ?? 1) + 12)}" y="${round((ends[index] ?? 0) + 4)}" class="label" style="fill:${colour}">${escapeXml(each.label)}</text>`,
      ];
    }),
  ];
  return svg(bottom + 60, chart.title, parts);
}

/** A scale from 0 to a round number not below the value, with four to seven ticks. */
export function niceScale(greatest: number): {
  readonly max: number;
  readonly ticks: readonly number[];
} {
  const safe = Number.isFinite(greatest) && greatest > 0 ? greatest : 1;
  const rough = safe / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const factor = [1, 2, 2.5, 5, 10].find((each) => each * power >= rough) ?? 10;
  const step = factor * power;
  const count = Math.ceil(safe / step - 1e-9);
  const ticks = Array.from({ length: count + 1 }, (_, index) => tidy(index * step));
  return { max: tidy(count * step), ticks };
}

function drawBar(
  bar: Bar,
  left: number,
  top: number,
  x: (value: number) => number,
): readonly string[] {
  const height = 24;
  const middle = top + height / 2;
  const colour = bar.ours ? oursColour : otherColour;
  return [
    text(left - 12, middle + 5, bar.label, bar.ours ? "label strong" : "label", "end"),
    `<rect x="${left}" y="${top}" width="${round(Math.max(1, x(bar.median) - left))}" height="${height}" rx="3" fill="${colour}"/>`,
    ...bar.rounds.map(
      (value) =>
        `<circle cx="${round(x(value))}" cy="${round(middle)}" r="3.5" fill="#fff" stroke="${ink}" stroke-width="1.2" fill-opacity="0.85"/>`,
    ),
  ];
}

/** Beyond bar and dots, and over the line of the aim where that is in the way. */
function drawValue(bar: Bar, top: number, x: (value: number) => number): string {
  const furthest = Math.max(bar.median, ...bar.rounds);
  return text(x(furthest) + 10, top + 17, formatValue(bar.median), "value");
}

function aimLine(
  aim: { readonly value: number; readonly label: string },
  x: (value: number) => number,
  top: number,
  bottom: number,
  right: number,
): readonly string[] {
  const at = x(aim.value);
  // Beside the line where there is room, so that it never leaves the picture.
  const anchor = at > right - 90 ? "end" : "start";
  return [
    line(at, top - 18, at, bottom, "aim"),
    text(anchor === "end" ? at - 6 : at + 6, top - 12, aim.label, "aim-label", anchor),
  ];
}

/** Keeps labels at least 18 pixels apart, in their order and not below the lowest place for one. */
function spreadLabels(wanted: readonly number[], lowest: number): readonly number[] {
  const order = wanted.map((_, index) => index).sort((a, b) => (wanted[a] ?? 0) - (wanted[b] ?? 0));
  const placed = [...wanted];
  let last = -Infinity;
  for (const index of order) {
    last = Math.max(placed[index] ?? 0, last + 18);
    placed[index] = last;
  }
  let next = lowest + 18;
  for (const index of order.reverse()) {
    next = Math.min(placed[index] ?? 0, next - 18);
    placed[index] = next;
  }
  return placed;
}

function titles(title: string, subtitle: string): readonly string[] {
  return [text(24, 32, title, "title"), text(24, 54, subtitle, "subtitle")];
}

function svg(height: number, title: string, parts: readonly string[]): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">`,
    `<title>${escapeXml(title)}</title>`,
    `<style>${css}</style>`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    ...parts,
    "</svg>",
    "",
  ].join("\n");
}

function line(x1: number, y1: number, x2: number, y2: number, kind: string): string {
  return `<line x1="${round(x1)}" y1="${round(y1)}" x2="${round(x2)}" y2="${round(y2)}" class="${kind}"/>`;
}

function text(
  x: number,
  y: number,
  content: string,
  kind: string,
  anchor: "start" | "middle" | "end" = "start",
): string {
  return `<text x="${round(x)}" y="${round(y)}" class="${kind}" text-anchor="${anchor}">${escapeXml(content)}</text>`;
}

function escapeXml(content: string): string {
  return content.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

/** Without the tail that binary fractions leave. */
function tidy(value: number): number {
  return Number(value.toPrecision(12));
}

function formatTick(value: number): string {
  return value.toLocaleString("en", { maximumFractionDigits: 6 });
}

function formatValue(value: number): string {
  return value.toLocaleString("en", { maximumSignificantDigits: 3 });
}

function lineColour(ours: boolean, index: number): string {
  return ours ? oursColour : (lineColours[index % lineColours.length] ?? otherColour);
}

const width = 760;
const ink = "#1f2933";
const oursColour = "#1f6f8b";
const otherColour = "#b8c4ce";
const lineColours = ["#e07a2d", "#8a6bb1", "#5b8c3e", "#c2495d", "#7b8794"];
const css = `text{font-family:system-ui,-apple-system,"Segoe UI","Helvetica Neue",Arial,sans-serif;fill:${ink}}
.title{font-size:18px;font-weight:600}
.subtitle{font-size:13px;fill:#61707d}
.label{font-size:13px}
.strong{font-weight:600}
.value{font-size:13px;font-weight:600;paint-order:stroke;stroke:#fff;stroke-width:4px}
.tick{font-size:12px;fill:#61707d}
.grid{stroke:#e4e9ed;stroke-width:1}
.aim{stroke:#c2495d;stroke-width:1.5;stroke-dasharray:5 4}
.aim-label{font-size:12px;fill:#c2495d}`;
