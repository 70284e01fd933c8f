/**
 * The fields of a log line as a person reads them: `peer=lan-box remote=10.0.0.2:33676 took=7`. An error is its message and code. What
 * would fill the screen, such as a whole configuration, is only named unless `whole`; it stands in the lines of JSON, and
 * `culvert check` prints it.
 * @param fields everything the line has; level, time, event and role are not told again.
 */
export function fieldsForEyes(fields: Readonly<Record<string, unknown>>, whole: boolean): string {
  return Object.entries(fields)
    .filter(([name, value]) => !toldElsewhere.has(name) && value !== undefined)
    .map(([name, value]) => `${name}=${whole ? inWords(value) : inShort(name, value)}`)
    .join(" ");
}

function inShort(name: string, value: unknown): string {
  // One with a stack is a fault of ours: all of it is wanted.
  const known = name === "error" && isRecord(value) && value["stack"] === undefined;
  if (known && typeof value["message"] === "string") {
    const code = typeof value["code"] === "string" ? ` (${value["code"]})` : "";
    return inWords(`${value["message"]}${code}`);
  }
  const text = inWords(value);
  return typeof value === "object" && name !== "error" && text.length > longest ? "…" : text;
}

/** Like YAML in one line: `{first: 100ms, cap: 1s}`. What would be mistaken keeps its quotes, and control characters are escaped. */
function inWords(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(inWords).join(", ")}]`;
  if (isRecord(value)) {
    const parts = Object.entries(value).map(([key, part]) => `${key}: ${inWords(part)}`);
    return `{${parts.join(", ")}}`;
  }
  if (typeof value === "string" && /^[^\s"\\,=[\]{}\p{C}]+$/u.test(value)) return value;
  // JSON escapes the controls below U+0020 only; a terminal obeys some of those above as well.
  return JSON.stringify(value).replace(/[\p{Cc}\p{Cf}]/gu, escaped);
}

function escaped(character: string): string {
  return `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, "0")}`;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const toldElsewhere = new Set(["level", "time", "event", "role"]);

/** Characters of one field that a person still reads. */
const longest = 300;
