import { formatByteSize, formatMillis } from "@culvert/runtime";
import Table from "cli-table3";

/** A table with a title; nothing where there are no rows. */
export function table(title: string, head: readonly string[], rows: readonly string[][]): string {
  if (rows.length === 0) return "";
  const made = new Table({ head: [...head], style: { head: [], border: [], compact: true } });
  made.push(...rows);
  return `\n${title}\n${made.toString()}\n`;
}

/** An object of a status, of which nothing is certain. */
export type Part = Readonly<Record<string, unknown>>;

/** An object; an empty one where there is none. */
export function part(value: unknown): Part {
  return typeof value === "object" && value !== null ? (value as Part) : {};
}

/** A list; an empty one where there is none. */
export function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as unknown[]) : [];
}

/** A text or number. What peers have said may hold control characters that would move the cursor. */
export function text(value: unknown): string {
  const plain = typeof value === "string" || typeof value === "number" ? String(value) : "";
  // eslint-disable-next-line no-control-regex -- control characters are what must not pass
  return plain.replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, "?");
}

/** A duration in milliseconds, for people. */
export function age(value: unknown): string {
  return typeof value === "number" ? formatMillis(value) : "";
}

/** A count of bytes, for people. */
export function size(value: unknown): string {
  return typeof value === "number" ? formatByteSize(value) : "";
}
