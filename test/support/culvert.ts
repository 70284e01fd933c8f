import { fileURLToPath } from "node:url";
import { run, type ChildOptions, type RunResult } from "./child.ts";

/** The built program that the system tests run. */
export const culvertPath = fileURLToPath(
  new URL("../../packages/cli/bin/culvert.js", import.meta.url),
);

/** The same without its bundle. */
export const unbundledPath = fileURLToPath(
  new URL("../../packages/cli/bin/unbundled.js", import.meta.url),
);

/** Makes the bundle of what is built now; without, `culvert` runs unbundled if anything was built since `npm run build`. */
export async function bundleAnew(): Promise<void> {
  const script = fileURLToPath(new URL("../../scripts/bundle.js", import.meta.url));
  const { code, stderr } = await run(process.execPath, [script]);
  if (code !== 0 || stderr !== "") throw new Error(`no bundle: ${stderr}`);
}

/** Runs `culvert …` to its end. */
export function culvert(
  args: readonly string[],
  options: ChildOptions & { readonly input?: string; readonly timeoutMs?: number } = {},
): Promise<RunResult> {
  return run(process.execPath, [culvertPath, ...args], { timeoutMs: 20_000, ...options });
}
