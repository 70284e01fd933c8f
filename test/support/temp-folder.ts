import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";

/** A folder for one test, mode 0700, removed with everything in it at the end. */
export async function useTempFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "culvert-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Removes a child's traces at the end of the test: stops it by its own process id. */
export function endWithTest(child: { end(): Promise<unknown> }): void {
  onTestFinished(async () => {
    await child.end();
  });
}
