/** What the web server of that name shows: long enough for many segments, and no two lines alike. */
export function page(name) {
  const lines = [];
  for (let line = 0; line < 4000; line += 1) lines.push(`${name} line ${line}`);
  return `${lines.join("\n")}\n`;
}
