import { execFileSync } from "node:child_process";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it, vi } from "vitest";
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
