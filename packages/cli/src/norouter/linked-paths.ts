import { lstatSync, readlinkSync } from "node:fs";
import { dirname, isAbsolute, parse, resolve, sep } from "node:path";

/**
 * The paths that decide what a file is: every symbolic link on the way to it, be it the file's own or that of a folder, and the file at
 * the end, which need not be there. The folders of these paths are no links. A way that never ends is followed for a while.
 */
export function linkedPaths(file: string): readonly string[] {
  const links: string[] = [];
  let { root: at } = parse(resolve(file));
  let parts = partsOf(resolve(file));
  for (let part = parts.shift(); part !== undefined; part = parts.shift()) {
    const next = resolve(at, part);
    if (lstatSync(next, { throwIfNoEntry: false })?.isSymbolicLink() !== true) {
      at = next;
      continue;
    }
    links.push(next);
    if (links.length >= maxLinks) return links;
    const target = readlinkSync(next);
    at = isAbsolute(target) ? parse(target).root : dirname(next);
    parts = [...partsOf(target), ...parts];
  }
  return [...links, at];
}

function partsOf(path: string): string[] {
  return path
    .slice(parse(path).root.length)
    .split(sep)
    .filter((part) => part !== "");
}

/** As many as Linux follows. */
const maxLinks = 40;
