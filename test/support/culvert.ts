import { fileURLToPath } from "node:url";
import { run, type ChildOptions, type RunResult } from "./child.ts";

/** The built program that the system tests run. */
export const culvertPath = fileURLToPath(
  new URL("../../packages/cli/bin/culvert.js", import.meta.url),
);

/** Runs `culvert …` to its end. */
export function culvert(
  args: readonly string[],
  options: ChildOptions & { readonly input?: string; readonly timeoutMs?: number } = {},
): Promise<RunResult> {
  return run(process.execPath, [culvertPath, ...args], { timeoutMs: 20_000, ...options });
}
