import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

/** Where administrators' programs are, also for users whose PATH leaves them out. */
const moreFolders = ["/usr/sbin", "/sbin", "/usr/local/sbin"];

/** The full path of a program, or undefined where it is not installed. */
export function findProgram(name: string): string | undefined {
  const folders = [...(process.env["PATH"] ?? "").split(delimiter), ...moreFolders];
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
}

/**
 * For `describe.skipIf(missing("nc"))`: true, and a line on the terminal that says why, where one of the programs is not
 * installed.
 */
export function missing(...programs: readonly string[]): boolean {
  const absent = programs.filter((program) => findProgram(program) === undefined);
  if (absent.length === 0) return false;
  console.warn(`skipped: not installed here: ${absent.join(", ")}`);
  return true;
}

/** True, and a line on the terminal, where this is not Linux run by root. */
export function notRoot(why: string): boolean {
  if (process.platform === "linux" && process.getuid?.() === 0) return false;
  console.warn(`skipped: ${why} needs root on Linux`);
  return true;
}
