import { ConfigError } from "@culvert/runtime";
import { tipDefaults } from "./defaults.ts";
import { quoteText } from "./quote-text.ts";

/**
 * Checks the name of a peer, server or service and returns it (PROTOCOL.md §6.1): 1 to 64 of `a-z 0-9 . _ -`, beginning and
 * ending with a letter or digit. Nothing is trimmed or folded, so two names are equal exactly where their bytes are.
 * @throws ConfigError `bad_name`; its text shows at most 80 characters of the name, escaped.
 */
export function parseName(text: string): string {
  const problem = nameProblem(text);
  if (problem !== undefined) {
    throw new ConfigError("bad_name", `${quoteText(text)} is not a name: ${problem}`, {
      data: { length: text.length, max: tipDefaults.maxNameLength },
    });
  }
  return text;
}

/** What is wrong with a name, or undefined. */
export function nameProblem(text: string): string | undefined {
  if (text === "") return "it is empty";
  if (text.length > tipDefaults.maxNameLength) {
    return `it has ${text.length} characters and may have ${tipDefaults.maxNameLength}`;
  }
  // Refused here by name because such a character would not be seen in a message.
  if (/[^\x20-\x7e]/.test(text)) return "it has a control or non-ASCII character";
  if (/[A-Z]/.test(text)) return "it has a capital letter; names are lower case";
  if (/[^a-z0-9._-]/.test(text)) return 'only a-z, 0-9, ".", "_" and "-" are allowed';
  if (!/^[a-z0-9].*$/.test(text) || !/[a-z0-9]$/.test(text)) {
    return "it must begin and end with a letter or digit";
  }
  return undefined;
}

/** What is wrong with a service name, or undefined. Digits alone would read as a port (PROTOCOL.md §6.2). */
export function serviceNameProblem(text: string): string | undefined {
  return /^\d+$/.test(text) ? "digits alone mean a port" : nameProblem(text);
}
