import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { drawBars, drawLines, niceScale } from "./chart.ts";

const bars = [
  { label: "ours", median: 150, rounds: [140, 150, 170], ours: true },
  { label: "ssh <& co>", median: 100, rounds: [90, 100, 120], ours: false },
];

describe("niceScale", () => {
  it("covers any value with four to seven evenly spaced ticks from zero", () => {
    fc.assert(
      fc.property(fc.double({ min: 1e-6, max: 1e9, noNaN: true }), (greatest) => {
        const { max, ticks } = niceScale(greatest);
        expect(max).toBeGreaterThanOrEqual(greatest * (1 - 1e-9));
        expect(max).toBeLessThanOrEqual(greatest * 1.7);
        expect(ticks.length).toBeGreaterThanOrEqual(3);
        expect(ticks.length).toBeLessThanOrEqual(7);
        expect(ticks[0]).toBe(0);
        expect(ticks.at(-1)).toBe(max);
      }),
    );
  });

  it("has a scale even for nothing", () => {
    expect(niceScale(0).max).toBe(1);
    expect(niceScale(Number.NaN).max).toBe(1);
  });
});

describe("drawBars", () => {
  const chart = { title: "bulk", subtitle: "more is better", unit: "MiB/s", bars };

  it("has a bar and a label for each contender and a dot for each round", () => {
    const svg = drawBars(chart);
    expect(count(svg, "<rect")).toBe(1 + bars.length);
    expect(count(svg, "<circle")).toBe(6);
    expect(svg).toContain(">ours<");
    expect(svg).toContain("MiB/s");
  });

  it("draws bars in proportion", () => {
    const [, ours = 0, theirs = 0] = [
      ...drawBars(chart).matchAll(/<rect[^>]* width="([\d.]+)"/g),
    ].map((match) => Number(match[1]));
    expect(ours / theirs).toBeCloseTo(1.5, 1);
  });

  it("marks the aim, inside the picture even where it lies beyond all bars", () => {
    const svg = drawBars({ ...chart, aim: { value: 1_000, label: "aim" } });
    const at = Number(/<line x1="([\d.]+)"[^>]*class="aim"/.exec(svg)?.[1]);
    expect(at).toBeGreaterThan(0);
    expect(at).toBeLessThan(760);
    expect(count(drawBars(chart), 'class="aim"')).toBe(0);
  });

  it("escapes what labels hold", () => {
    expect(drawBars(chart)).toContain("ssh &#60;&#38; co&#62;");
  });

  it("draws nothing odd without any bars", () => {
    expect(drawBars({ ...chart, bars: [] })).not.toMatch(/NaN|Infinity|undefined/);
  });
});

describe("drawLines", () => {
  it("has a polyline for each line and places equal factors at equal distances", () => {
    const svg = drawLines({
      title: "growth",
      subtitle: "flat is the aim",
      xTitle: "connections open",
      unit: "ms",
      lines: [
        { label: "ours", ours: true, points: [10, 100, 1_000].map((x) => ({ x, y: 1 })) },
        { label: "ssh", ours: false, points: [10, 100, 1_000].map((x) => ({ x, y: x / 100 })) },
      ],
    });
    expect(count(svg, "<polyline")).toBe(2);
    const [a = 0, b = 0, c = 0] = [...svg.matchAll(/<circle cx="([\d.]+)"/g)].map((m) =>
      Number(m[1]),
    );
    expect(b - a).toBeCloseTo(c - b, 0);
  });

  it("writes the name of a line that ends early beside its own end", () => {
    const svg = drawLines(crowded);
    const label = labels(svg).find(({ name }) => name === "ssh");
    const end = [...svg.matchAll(/<circle cx="([\d.]+)" cy="([\d.]+)"/g)].map((m) => Number(m[1]));
    expect(label?.x).toBeLessThan(Math.max(...end));
  });

  it("keeps names above the axis, apart from each other and inside the picture", () => {
    const svg = drawLines(crowded);
    const axis = Number(/y="([\d.]+)" class="tick" text-anchor="middle">10</.exec(svg)?.[1]) - 20;
    const all = labels(svg).filter(({ name }) => name !== "ssh");
    const heights = all.map(({ y }) => y).sort((a, b) => a - b);
    expect(heights).toHaveLength(3);
    expect(heights.at(-1)).toBeLessThanOrEqual(axis + 4);
    for (const [index, y] of heights.slice(1).entries()) {
      expect(y - (heights[index] ?? 0)).toBeGreaterThanOrEqual(17.9);
    }
    for (const { x, name } of all) expect(x + 7.5 * name.length).toBeLessThan(760);
  });

  it("draws nothing odd with one point", () => {
    const lines = [{ label: "ours", ours: true, points: [{ x: 10, y: 0 }] }];
    const svg = drawLines({ title: "t", subtitle: "s", xTitle: "x", unit: "ms", lines });
    expect(svg).not.toMatch(/NaN|Infinity|undefined/);
  });
});

const crowded = {
  ...{ title: "growth", subtitle: "flat", xTitle: "connections open", unit: "ms" },
  lines: [
    { label: "ours", ours: true, points: [10, 100, 1_000].map((x) => ({ x, y: 2 })) },
    { label: "ssh", ours: false, points: [10, 100].map((x) => ({ x, y: 50 })) },
    { label: "low", ours: false, points: [10, 100, 1_000].map((x) => ({ x, y: 0.2 })) },
    {
      label: "a forwarder with a long name",
      ours: false,
      points: [10, 100, 1_000].map((x) => ({ x, y: 0.1 })),
    },
  ],
};

function labels(svg: string): { x: number; y: number; name: string }[] {
  const found = svg.matchAll(/<text x="([\d.]+)" y="([\d.]+)" class="label"[^>]*>([^<]+)</g);
  return [...found].map(([, x, y, name = ""]) => ({ x: Number(x), y: Number(y), name }));
}

function count(text: string, piece: string): number {
  return text.split(piece).length - 1;
}
