import { existsSync } from "node:fs";
import { culvertPath } from "../../support/culvert.ts";

/** One of the two implementations that take seats in a mesh. */
export interface Program {
  /** `real` is the original, `ours` is Culvert. */
  readonly name: "real" | "ours";
  /** What stands before `agent --automated` or a manifest's path. */
  readonly command: readonly string[];
}

/** `culvert norouter`, as built. */
export const ours: Program = {
  name: "ours",
  command: [process.execPath, culvertPath, "norouter"],
};

/** The original program, where NOROUTER_BIN names it; otherwise undefined, and a line on the terminal that says so. */
export function realProgram(): Program | undefined {
  const path = process.env["NOROUTER_BIN"] ?? "";
  if (path !== "" && existsSync(path)) return { name: "real", command: [path] };
  console.warn(`skipped: NOROUTER_BIN names no norouter program${path === "" ? "" : `: ${path}`}`);
  return undefined;
}
