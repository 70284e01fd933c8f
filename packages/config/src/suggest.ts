import { closest, distance } from "fastest-levenshtein";

/** What somebody who wrote `word` may have meant, among `known`; undefined where nothing is near. */
export function suggest(word: string, known: readonly string[]): string | undefined {
  // The distance takes time in the product of the lengths, and nobody misspells a key at this length.
  if (known.length === 0 || word.length > 64) return undefined;
  const lower = word.toLowerCase().replaceAll(/[-_]/g, "");
  const same = known.find((key) => lastPart(key).toLowerCase().replaceAll(/[-_]/g, "") === lower);
  if (same !== undefined) return same;
  const near = closest(word, known);
  return distance(word, near) <= Math.max(2, Math.floor(near.length / 3)) ? near : undefined;
}

/** The end of an error about an unknown key: a suggestion, or the keys there are. */
export function didYouMean(word: string, known: readonly string[]): string {
  const near = suggest(word, known);
  return near === undefined ? `; there are ${known.join(", ")}` : `; did you mean ${near}?`;
}

function lastPart(path: string): string {
  return path.slice(path.lastIndexOf(".") + 1);
}
