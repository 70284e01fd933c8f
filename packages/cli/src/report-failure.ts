import { ConfigError, CulvertError, errorText, systemCode } from "@culvert/runtime";
import { ExitCode } from "./exit-code.ts";

/**
 * Writes why a command failed, and returns its exit code. An error of a kind that we know is its message; anything else is a defect
 * and keeps its stack, which a report needs.
 */
export function reportFailure(error: unknown, stderr: { write(text: string): unknown }): ExitCode {
  const known = error instanceof CulvertError || systemCode(error) !== undefined;
  if (known) {
    stderr.write(`culvert: ${errorText(error)}\n`);
  } else {
    const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
    stderr.write(`culvert: unexpected error, please report it: ${stack}\n`);
  }
  return error instanceof ConfigError ? ExitCode.Usage : ExitCode.Failure;
}
