import { errorText } from "@culvert/runtime";

/** What was thrown, as an error; foreign code may throw anything. */
export function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(errorText(error));
}
