import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { linkedPaths } from "./linked-paths.ts";

function folder(): string {
  const path = realpathSync(mkdtempSync(join(tmpdir(), "culvert-links-")));
  onTestFinished(() => rmSync(path, { recursive: true }));
  return path;
}

it("a file without links is its own and only path, be it there or not", () => {
  const path = join(folder(), "none", "mesh.yaml");
  expect(linkedPaths(path)).toEqual([path]);
});

it("every link on the way is told, relative ones by where they stand", () => {
  const base = folder();
  mkdirSync(join(base, "a"));
  symlinkSync("../b/mesh.yaml", join(base, "a", "mesh.yaml"));
  symlinkSync(join(base, "c"), join(base, "b"));
  expect(linkedPaths(join(base, "a", "mesh.yaml"))).toEqual(
    ["a/mesh.yaml", "b", "c/mesh.yaml"].map((path) => join(base, path)),
  );
});

it("links that lead to each other come to an end", () => {
  const base = folder();
  symlinkSync("two", join(base, "one"));
  symlinkSync("one", join(base, "two"));
  expect(new Set(linkedPaths(join(base, "one")))).toEqual(
    new Set([join(base, "one"), join(base, "two")]),
  );
});
