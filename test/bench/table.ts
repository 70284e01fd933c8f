/** A Markdown table with its columns aligned; the first column to the left, the others to the right. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((cell, column) =>
    Math.max(3, cell.length, ...rows.map((row) => (row[column] ?? "").length)),
  );
  const line = (cells: readonly string[]): string =>
    `| ${widths.map((width, column) => pad(cells[column] ?? "", width, column)).join(" | ")} |`;
  const rule = widths.map((width, column) =>
    column === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`,
  );
  return [line(head), line(rule), ...rows.map(line)].join("\n");
}

/** A number with two or three significant digits and no exponent. */
export function short(value: number): string {
  if (!Number.isFinite(value)) return "-";
  const size = Math.abs(value);
  if (size >= 100) return Math.round(value).toLocaleString("en");
  if (size >= 10) return value.toFixed(1);
  if (size >= 0.1 || size === 0) return value.toFixed(2);
  return value.toFixed(Math.min(8, 1 - Math.floor(Math.log10(size))));
}

function pad(cell: string, width: number, column: number): string {
  return column === 0 ? cell.padEnd(width) : cell.padStart(width);
}

/** A column of a table. */
export interface Column {
  readonly head: string;
  readonly cells: readonly string[];
}

/** {@link table} of columns of equal length. */
export function columnTable(columns: readonly Column[]): string {
  return table(
    columns.map(({ head }) => head),
    rowsOf(columns),
  );
}

/** The columns in as few tables of at most so many characters in width as they need in their order, each begun by those of `left`. */
export function tablesWithin(
  width: number,
  left: readonly Column[],
  columns: readonly Column[],
): readonly string[] {
  const tables: Column[][] = [];
  for (const column of columns) {
    const last = tables.at(-1);
    if (last !== undefined && widthOf([...left, ...last, column]) <= width) last.push(column);
    else tables.push([column]);
  }
  return tables.map((each) => columnTable([...left, ...each]));
}

function rowsOf(columns: readonly Column[]): readonly (readonly string[])[] {
  const rows = Math.max(0, ...columns.map(({ cells }) => cells.length));
  return Array.from({ length: rows }, (_, row) => columns.map(({ cells }) => cells[row] ?? ""));
}

function widthOf(columns: readonly Column[]): number {
  return columnTable(columns).indexOf("\n");
}
