import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { exampleManifest } from "@culvert/norouter";
import { openEditor } from "./open-editor.ts";

const folder = mkdtempSync(join(tmpdir(), "culvert-editor-"));
const made: string[] = [folder];
afterAll(() => made.forEach((path) => rmSync(path, { recursive: true })));

/** An editor that puts a line in place of whatever the file holds. */
const editor = join(folder, "editor.sh");
writeFileSync(editor, '#!/bin/sh\nprintf "%s" "$1" > "$2"\n', { mode: 0o755 });

describe("openEditor", () => {
  it("gives the file that was written, beginning with the example", async () => {
    const env = { VISUAL: `${editor} hosts:`, EDITOR: "false" };
    const path = await openEditor(undefined, { env, isTerminal: true });
    made.push(dirname(path!));
    expect(readFileSync(path!, "utf8")).toBe("hosts:");
    const file = join(folder, "new.yaml");
    await openEditor(file, { env: { EDITOR: "touch -d 2001-01-01" }, isTerminal: true });
    expect(readFileSync(file, "utf8")).toBe(exampleManifest);
  });

  it("gives nothing where the example was left as it was, but a file of the user's own", async () => {
    const file = join(folder, "own.yaml");
    const untouched = { env: { EDITOR: "true" }, isTerminal: true };
    expect(await openEditor(join(folder, "other.yaml"), untouched)).toBeUndefined();
    expect(existsSync(join(folder, "other.yaml"))).toBe(false);
    const own = (): string[] =>
      readdirSync(tmpdir()).filter((one) => one.startsWith(`norouter-${process.pid}-`));
    const before = own();
    expect(await openEditor(undefined, untouched)).toBeUndefined();
    expect(own()).toEqual(before);
    writeFileSync(file, "mine");
    utimesSync(file, 1, 1);
    expect(await openEditor(file, untouched)).toBe(file);
    expect(readFileSync(file, "utf8")).toBe("mine");
  });

  it("passes over editors that are not there, and tells of one that fails", async () => {
    const file = join(folder, "third.yaml");
    const env = { VISUAL: "/nowhere/editor", EDITOR: `${editor} x` };
    expect(await openEditor(file, { env, isTerminal: true })).toBe(file);
    await expect(openEditor(file, { env: { VISUAL: "false" }, isTerminal: true })).rejects.toThrow(
      /false ended with 1/,
    );
  });

  it("needs a terminal", async () => {
    await expect(openEditor(undefined, { env: {}, isTerminal: false })).rejects.toThrow(/terminal/);
  });
});
