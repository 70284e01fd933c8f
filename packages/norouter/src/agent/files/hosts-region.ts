/** The text of a hosts file without any agent's region. A mark that has no other end takes nothing but itself. */
export function withoutRegions(text: string): string {
  return filterRegions(text, () => false);
}

/** The text of a hosts file without the region of `owner`. */
export function withoutRegion(text: string, owner: string): string {
  return filterRegions(text, (other) => other !== owner);
}

/**
 * The text of a hosts file with only those regions that `isKept` says yes to; it is told who each belongs to, undefined for a region that
 * does not say. Lines outside regions are never touched, whatever marks stand before them.
 */
export function filterRegions(
  text: string,
  isKept: (owner: string | undefined) => boolean,
): string {
  const kept: string[] = [];
  let region: string[] | undefined;
  for (const line of text.split("\n")) {
    const mark = line.trim();
    if (mark === beginMark) {
      // The one before has no end, so that nobody knows which of the lines behind it are whose.
      kept.push(...(region?.slice(1) ?? []));
      region = [line];
    } else if (region === undefined) {
      kept.push(line);
    } else {
      region.push(line);
      if (mark !== endMark) continue;
      if (isKept(ownerOf(region))) kept.push(...region);
      region = undefined;
    }
  }
  return [...kept, ...(region?.slice(1) ?? [])].join("\n");
}

/** The region that names these hosts; in a file that several agents write to, with the name of its owner. */
export function hostsRegion(hostnameMap: ReadonlyMap<string, string>, owner?: string): string {
  const lines = [...hostnameMap]
    .filter(([name]) => isPlainName(name))
    .map(([name, ip]) => `${ip} ${name}`);
  const ownerLines = owner === undefined ? [] : [`${ownerStart}${owner}${ownerEnd}`];
  return [beginMark, ...ownerLines, ...lines.sort(), endMark].join("\n");
}

/** The text of a hosts file with `region` at its end, and no other. */
export function withRegion(text: string, region: string): string {
  return appendRegion(withoutRegions(text), region);
}

/** The text of a hosts file with `region` at its end, besides those that are there. */
export function appendRegion(text: string, region: string): string {
  const gap = text === "" || text.endsWith("\n") ? "" : "\n";
  return `${text}${gap}${region}\n`;
}

/** Whether a name can stand in a file of lines and words, and say nothing else there. */
export function isPlainName(name: string): boolean {
  return /^[^\s#\p{Cc}]+$/u.test(name);
}

function ownerOf(region: readonly string[]): string | undefined {
  const line = region[1]?.trim() ?? "";
  if (!line.startsWith(ownerStart) || !line.endsWith(ownerEnd)) return undefined;
  return line.slice(ownerStart.length, -ownerEnd.length);
}

const beginMark = "# <Added-by-NoRouter>";
const endMark = "# </Added-by-NoRouter>";
const ownerStart = "# culvert agent ";
const ownerEnd = ", which takes this out when it ends";
