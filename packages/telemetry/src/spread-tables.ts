/**
 * Makes a line of JSON readable where one of its fields is a table of many things, such as a whole configuration: each of these
 * gets a line of its own below. Other lines are left to `shape` alone.
 */
export function spreadTables(line: string, shape: (line: string) => string): string {
  // Nearly every line is short, and then there is nothing to look for.
  if (line.length < shortestTable) return shape(line);
  const fields = JSON.parse(line) as Readonly<Record<string, unknown>>;
  const tables = Object.entries(fields).filter((entry): entry is [string, object] =>
    isTable(entry[1]),
  );
  if (tables.length === 0) return shape(line);
  const names = new Set(tables.map(([name]) => name));
  const rest = Object.entries(fields).filter(([name]) => !names.has(name));
  const rows = tables.flatMap(([name, table]) => [
    `    ${name}:`,
    ...Object.entries(table).map(([key, value]) => `      ${key}: ${inWords(value)}`),
  ]);
  return `${shape(`${JSON.stringify(Object.fromEntries(rest))}\n`)}${rows.join("\n")}\n`;
}

function isTable(value: unknown): value is object {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  return JSON.stringify(value).length >= shortestTable;
}

/** Like YAML in one line: `{first: 100ms, cap: 1s}`. What would be mistaken keeps its quotes. */
function inWords(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(inWords).join(", ")}]`;
  if (typeof value === "object" && value !== null) {
    const parts = Object.entries(value).map(([key, part]) => `${key}: ${inWords(part)}`);
    return `{${parts.join(", ")}}`;
  }
  const text = JSON.stringify(value);
  // Control characters are escaped in JSON, so a bare word has none.
  return typeof value === "string" && /^"[^"\\,[\]{}]+"$/.test(text) ? value : text;
}

/** Characters of JSON above which a line of fields is not read any more. */
const shortestTable = 400;
