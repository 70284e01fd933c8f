/** The text of a hosts file without the region of an agent; broken marks take what follows them to the end of the region or file. */
export function withoutRegion(text: string): string {
  const kept: string[] = [];
  let inside = false;
  for (const line of text.split("\n")) {
    if (line.trim() === beginMark) inside = true;
    if (!inside) kept.push(line);
    if (line.trim() === endMark) inside = false;
  }
  return kept.join("\n");
}

/** The region of an agent in the text of a hosts file, marks included; undefined where there is none. */
export function regionIn(text: string): string | undefined {
  const start = text.indexOf(beginMark);
  const end = text.indexOf(endMark, start);
  return start === -1 || end === -1 ? undefined : text.slice(start, end + endMark.length);
}

/** The region that names these hosts. */
export function hostsRegion(hostnameMap: ReadonlyMap<string, string>): string {
  const lines = [...hostnameMap]
    .filter(([name]) => isPlainName(name))
    .map(([name, ip]) => `${ip} ${name}`);
  return [beginMark, ...lines.sort(), endMark].join("\n");
}

/** The text of a hosts file with `region` at its end, instead of an earlier one. */
export function withRegion(text: string, region: string): string {
  const kept = withoutRegion(text);
  const gap = kept === "" || kept.endsWith("\n") ? "" : "\n";
  return `${kept}${gap}${region}\n`;
}

/** Whether a name can stand in a file of lines and words, and say nothing else there. */
export function isPlainName(name: string): boolean {
  return /^[^\s#\p{Cc}]+$/u.test(name);
}

const beginMark = "# <Added-by-NoRouter>";
const endMark = "# </Added-by-NoRouter>";
