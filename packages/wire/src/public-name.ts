import { ConfigError } from "@culvert/runtime";
import { quoteText } from "./quote-text.ts";

/**
 * Checks a public name and returns it in lower case (PROTOCOL.md §6.4): a host name of letters, digits and hyphens, or `*.` and
 * one, which stands for every name below it.
 * @throws ConfigError `bad_name`; its text shows at most 80 characters of the name, escaped.
 */
export function parsePublicName(text: string): string {
  const name = text.toLowerCase();
  const problem = publicNameProblem(name, { wildcard: true });
  if (problem === undefined) return name;
  throw new ConfigError("bad_name", `${quoteText(text)} is not a public name: ${problem}`, {
    data: { length: text.length, max: maxPublicNameLength },
  });
}

/** Whether a public name, which may be `*.` and one, covers another: it is the same, or a wildcard above it. */
export function coversPublicName(granted: string, name: string): boolean {
  if (granted === name) return true;
  return granted.startsWith("*.") && name.endsWith(granted.slice(1));
}

/** What is wrong with a public name as it stands in a tip, or undefined. */
export function publicNameProblem(
  text: string,
  { wildcard }: { readonly wildcard: boolean },
): string | undefined {
  if (text.length > maxPublicNameLength) {
    return `it has ${text.length} characters and may have ${maxPublicNameLength}`;
  }
  const labels = (wildcard && text.startsWith("*.") ? text.slice(2) : text).split(".");
  if (!labels.every((label) => /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(label))) {
    return "it is not a host name of lower-case letters, digits and hyphens";
  }
  return /^(?:\d+|0x[0-9a-f]*)$/.test(labels.at(-1) ?? "")
    ? "its last label is a number, as in an address"
    : undefined;
}

/** Longest name DNS carries, characters. */
const maxPublicNameLength = 253;
