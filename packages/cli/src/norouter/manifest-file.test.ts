import { execFileSync } from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { ConfigError, systemClock } from "@culvert/runtime";
import {
  defaultSocket,
  isReadableAgain,
  readManifest,
  readManifestAgain,
  watchFile,
} from "./manifest-file.ts";

const folder = mkdtempSync(join(tmpdir(), "culvert-manifest-"));
afterAll(() => rmSync(folder, { recursive: true }));
const file = join(folder, "mesh.yaml");

describe("a manifest file", () => {
  it("is read, or refused by its name", () => {
    writeFileSync(file, "hosts: {a: {vip: 10.0.0.1}}");
    expect(readManifest(file).manifest.hosts).toHaveLength(1);
    expect(() => readManifest(join(folder, "none"))).toThrow(ConfigError);
    writeFileSync(file, "hosts: 1");
    expect(() => readManifest(file)).toThrow(`${file} has a problem:\n  line 1: hosts: must be`);
  });

  it("has its socket beside it", () => {
    expect(defaultSocket("/a/mesh.yaml")).toBe("/a/mesh.sock");
    expect(defaultSocket("/a/mesh")).toBe("/a/mesh.sock");
  });

  it("can be read again unless it is a pipe, a device or gone", () => {
    expect(isReadableAgain(file)).toBe(true);
    expect(isReadableAgain("/dev/null")).toBe(false);
    expect(isReadableAgain(join(folder, "none"))).toBe(false);
  });

  it("is read again only where that waits for nobody", () => {
    writeFileSync(file, "hosts: {a: {vip: 10.0.0.1}}");
    expect(readManifestAgain(file).manifest.hosts).toHaveLength(1);
    const pipe = join(folder, "pipe");
    execFileSync("mkfifo", [pipe]);
    for (const path of [pipe, "/dev/null", "/dev/stdin"]) {
      expect(isReadableAgain(path)).toBe(false);
      expect(() => readManifestAgain(path)).toThrow(`${path} cannot be read: it is no file but`);
    }
    expect(() => readManifestAgain(join(folder, "none"))).toThrow(/none cannot be read: ENOENT/);
  });

  /** Calls for a change, waited for one after the other. */
  function watched(path: string) {
    const changed = vi.fn();
    const stop = watchFile(path, systemClock, changed, (error) => {
      throw error;
    });
    onTestFinished(stop);
    return async (what: string): Promise<void> => {
      await vi.waitFor(() => expect(changed, what).toHaveBeenCalled(), { timeout: 10_000 });
      changed.mockClear();
    };
  }

  it("tells of changes of what it links to, elsewhere, and of another link", async () => {
    const [links, dotfiles] = [join(folder, "links"), join(folder, "dotfiles")];
    for (const path of [links, dotfiles]) mkdirSync(path);
    const link = join(links, "mesh.yaml");
    for (const name of ["one", "two"]) writeFileSync(join(dotfiles, name), "hosts: {}");
    symlinkSync(join(dotfiles, "one"), link);
    const change = watched(link);
    writeFileSync(join(dotfiles, "one"), "hosts: {a: 1}");
    await change("written where it lies");
    writeFileSync(join(dotfiles, "next"), "hosts: {b: 1}");
    renameSync(join(dotfiles, "next"), join(dotfiles, "one"));
    await change("put in its place where it lies");
    unlinkSync(link);
    symlinkSync(join(dotfiles, "two"), link);
    await change("another link");
  });

  it("tells of changes behind a link to its folder, each time that is replaced", async () => {
    const mount = join(folder, "mount");
    const version = (number: number): void => {
      const data = join(mount, `..version${number}`);
      mkdirSync(data, { recursive: true });
      writeFileSync(join(data, "mesh.yaml"), `hosts: {a${number}: 1}`);
      symlinkSync(data, join(mount, "..next"));
      renameSync(join(mount, "..next"), join(mount, "..data"));
      if (number > 1) rmSync(join(mount, `..version${number - 1}`), { recursive: true });
    };
    version(1);
    symlinkSync(join("..data", "mesh.yaml"), join(mount, "mesh.yaml"));
    const change = watched(join(mount, "mesh.yaml"));
    for (const number of [2, 3]) {
      version(number);
      await change(`version ${number}`);
    }
    writeFileSync(join(mount, "..version3", "mesh.yaml"), "hosts: {b: 1}");
    await change("written in the folder that came last");
  });

  it("tells of changes behind a folder that is a link to another place", async () => {
    const [releases, current] = [join(folder, "releases"), join(folder, "current")];
    const release = (number: number): void => {
      const path = join(releases, `${number}`);
      mkdirSync(path, { recursive: true });
      writeFileSync(join(path, "mesh.yaml"), `hosts: {a${number}: 1}`);
      symlinkSync(path, `${current}.next`);
      renameSync(`${current}.next`, current);
    };
    release(1);
    const change = watched(join(current, "mesh.yaml"));
    writeFileSync(join(releases, "1", "mesh.yaml"), "hosts: {b: 1}");
    await change("written in place");
    release(2);
    await change("another release");
  });

  it("tells of changes, written in place or put in its place, but not of other files", async () => {
    const changed = vi.fn();
    const stop = watchFile(file, systemClock, changed, () => undefined);
    const calls = async (count: number): Promise<void> => {
      await vi.waitFor(() => expect(changed).toHaveBeenCalledTimes(count), { timeout: 10_000 });
    };
    try {
      writeFileSync(join(folder, "other"), "x");
      writeFileSync(file, "hosts: {}");
      writeFileSync(file, "hosts: {a: 1}");
      await calls(1);
      writeFileSync(join(folder, "next"), "y");
      renameSync(join(folder, "next"), file);
      await calls(2);
    } finally {
      stop();
    }
  });
});
