/** The middle value; the mean of the two middle ones where their number is even. NaN without values. */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** The value below which the share `q` (0 to 1) of the values lies, linear between neighbours. NaN without values. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  if (sorted.length === 0) return Number.NaN;
  const place = (sorted.length - 1) * Math.min(1, Math.max(0, q));
  const below = sorted[Math.floor(place)] ?? Number.NaN;
  const above = sorted[Math.ceil(place)] ?? Number.NaN;
  return below + (above - below) * (place - Math.floor(place));
}

/** What several rounds gave for one measure. */
export interface Summary {
  readonly rounds: number;
  readonly median: number;
  readonly min: number;
  readonly max: number;
  /** Half the distance from the least to the greatest value, as a share of the median: 0.1 reads "give or take 10 %". */
  readonly spread: number;
}

/** Sums up rounds; undefined without any. */
export function summarize(values: readonly number[]): Summary | undefined {
  if (values.length === 0) return undefined;
  const middle = median(values);
  const [min, max] = [Math.min(...values), Math.max(...values)];
  const spread = middle === 0 ? 0 : (max - min) / 2 / Math.abs(middle);
  return { rounds: values.length, median: middle, min, max, spread };
}

/**
 * How many times `ours` is of `theirs`: the median over the quotients of rounds that ran one after the other, so that a machine
 * that grows slower from round to round moves both and not their ratio. Where one side lacks a round that round does not count;
 * undefined where no round has both.
 */
export function pairedRatio(
  ours: readonly (number | undefined)[],
  theirs: readonly (number | undefined)[],
): Summary | undefined {
  const quotients: number[] = [];
  for (const [round, value] of ours.entries()) {
    const other = theirs[round];
    if (value !== undefined && other !== undefined && other > 0) quotients.push(value / other);
  }
  return summarize(quotients);
}
