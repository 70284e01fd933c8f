import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exampleManifest } from "@culvert/norouter";
import { ConfigError, systemCode } from "@culvert/runtime";

/** What {@link openEditor} works with. */
export interface EditorDeps {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly isTerminal: boolean;
}

/**
 * Lets the user write a manifest in an editor: `file`, or an example in a new file where none is given. Returns the file; undefined
 * where nothing was written, of which nothing is left then.
 * @throws ConfigError `bad_usage` without a terminal or an editor.
 */
export async function openEditor(
  file: string | undefined,
  { env, isTerminal }: EditorDeps,
): Promise<string | undefined> {
  if (!isTerminal) throw new ConfigError("bad_usage", "--open-editor needs a terminal");
  const folder =
    file === undefined ? mkdtempSync(join(tmpdir(), `norouter-${process.pid}-`)) : undefined;
  const path = file ?? join(folder ?? "", "mesh.yaml");
  const isNew = statSync(path, { throwIfNoEntry: false }) === undefined;
  if (isNew) writeFileSync(path, exampleManifest, { mode: 0o600 });
  const before = statSync(path).mtimeMs;
  for (const command of [env["VISUAL"], env["EDITOR"], ...commonEditors]) {
    const [program, ...args] = (command ?? "").split(/\s+/).filter((word) => word !== "");
    if (program === undefined || !(await runEditor(program, [...args, path]))) continue;
    // An example that nobody touched is no manifest of anybody's.
    if (!isNew || statSync(path).mtimeMs !== before) return path;
    rmSync(folder ?? path, { recursive: true });
    return undefined;
  }
  throw new ConfigError("bad_usage", "no editor found: set VISUAL or EDITOR");
}

/** Returns false where there is no such program. */
function runEditor(program: string, args: readonly string[]): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: "inherit" });
    child.on("error", (error) => {
      if (systemCode(error) === "ENOENT") resolve(false);
      else reject(new ConfigError("bad_usage", `${program} cannot be started`, { cause: error }));
    });
    child.on("exit", (code) => {
      if (code === 0) resolve(true);
      else reject(new ConfigError("bad_usage", `${program} ended with ${code ?? "a signal"}`));
    });
  });
}

const commonEditors = ["editor", "vim", "vi", "nano", "emacs"];
