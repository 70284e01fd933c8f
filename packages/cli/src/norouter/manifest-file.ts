import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readFileSync,
  statSync,
  watch,
  type FSWatcher,
} from "node:fs";
import { basename, dirname, extname, join, resolve } from "node:path";
import { parseManifest, type ParsedManifest } from "@culvert/norouter";
import { ConfigError, errorText, millis, type Clock, type Timer } from "@culvert/runtime";
import { linkedPaths } from "./linked-paths.ts";

/** A manifest as it was read. */
export interface ReadManifest extends ParsedManifest {
  readonly text: string;
}

/**
 * Reads a manifest.
 * @throws ConfigError `unreadable_file`, or `bad_config` with all that is wrong with it.
 */
export function readManifest(file: string): ReadManifest {
  const text = readText(file);
  return { text, ...parseManifest(text, file) };
}

/**
 * Reads a manifest that was read before.
 * @throws ConfigError as {@link readManifest}; `unreadable_file` at once for a pipe or a device, whose writer might never come back.
 */
export function readManifestAgain(file: string): ReadManifest {
  const text = readRegularFile(file);
  return { text, ...parseManifest(text, file) };
}

/** Where the manager of a manifest answers `culvert norouter status` unless it is told otherwise: `mesh.yaml` -> `mesh.sock`. */
export function defaultSocket(file: string): string {
  const path = resolve(file);
  return join(dirname(path), `${basename(path, extname(path))}.sock`);
}

/** Whether a manifest is a file that can be read again. */
export function isReadableAgain(file: string): boolean {
  return file !== standardInput && statSync(file, { throwIfNoEntry: false })?.isFile() === true;
}

/**
 * Calls `changed` some time after a file was written or replaced, or a link on the way to it was; not every call means another content.
 * Follows folders, since editors put another file in its place. Returns a function that stops it.
 */
export function watchFile(
  file: string,
  clock: Clock,
  changed: () => void,
  failed: (error: unknown) => void,
): () => void {
  let timer: Timer | undefined;
  const touched = (): void => {
    timer?.cancel();
    timer = clock.setTimer(settling, () => {
      // A link may lead to other folders now. What is written there from here on is told, what was before is read.
      const before = watchers;
      watchers = watchAll(file, touched, failed);
      for (const watcher of before) watcher.close();
      changed();
    });
  };
  let watchers = watchAll(file, touched, failed);
  return () => {
    timer?.cancel();
    for (const watcher of watchers) watcher.close();
  };
}

function watchAll(
  file: string,
  touched: () => void,
  failed: (error: unknown) => void,
): readonly FSWatcher[] {
  return [...namesByFolder(file, failed)].flatMap(([folder, names]) => {
    try {
      const watcher = watch(folder, { persistent: false }, (_event, name) => {
        if (name === null || names.has(name)) touched();
      });
      watcher.on("error", failed);
      return [watcher];
    } catch (error) {
      // One that is away is led to again by a link that is watched, too.
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") failed(error);
      return [];
    }
  });
}

function namesByFolder(
  file: string,
  failed: (error: unknown) => void,
): ReadonlyMap<string, ReadonlySet<string>> {
  const names = new Map<string, Set<string>>();
  for (const path of pathsOf(file, failed)) {
    const folder = dirname(path);
    names.set(folder, (names.get(folder) ?? new Set()).add(basename(path)));
  }
  return names;
}

/** A link may be gone between two looks at it. */
function pathsOf(file: string, failed: (error: unknown) => void): readonly string[] {
  try {
    return linkedPaths(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") failed(error);
    return [resolve(file)];
  }
}

function readText(file: string): string {
  try {
    // The name works where its number is a socket, as it is under many parents.
    return readFileSync(file === standardInput ? 0 : file, "utf8");
  } catch (error) {
    throw unreadable(file, errorText(error), error);
  }
}

function readRegularFile(file: string): string {
  if (file === standardInput) throw unreadable(file, onceOnly);
  let descriptor: number;
  try {
    // To open a pipe would wait for its writer. Windows has no such flag, and no such pipes.
    descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    throw unreadable(file, errorText(error), error);
  }
  try {
    if (!fstatSync(descriptor).isFile()) throw unreadable(file, onceOnly);
    return readFileSync(descriptor, "utf8");
  } finally {
    closeSync(descriptor);
  }
}

function unreadable(file: string, why: string, cause?: unknown): ConfigError {
  const text = `${file} cannot be read: ${why}`;
  return new ConfigError("unreadable_file", text, { data: { file }, cause });
}

const standardInput = "/dev/stdin";
const onceOnly =
  "it is no file but a pipe or the like, which is read once, at the start; start again to change something";

/** A file may be written in several pieces. */
const settling = millis(200);
