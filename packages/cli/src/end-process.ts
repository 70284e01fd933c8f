import type { ExitCode } from "./exit-code.ts";
import { reportFailure } from "./report-failure.ts";

/**
 * Does the work of a command and then ends the process, whatever an engine's own threads or an open standard input would still
 * hold. For commands that have released everything of theirs by then.
 */
export async function endProcessAfter(work: () => Promise<ExitCode>): Promise<never> {
  let code: ExitCode;
  try {
    code = await work();
  } catch (error) {
    code = reportFailure(error, process.stderr);
  }
  process.exit(code);
}
