/**
 * Foreign text in quotes, safe for a terminal or log line: at most `maxLength` characters of it, and all but printable ASCII
 * escaped. Text that was cut says how long it was.
 */
export function quoteText(text: string, maxLength = 80): string {
  let shown = "";
  for (const character of text) {
    const escaped = escapeCharacter(character);
    if (shown.length + escaped.length > maxLength) {
      return `"${shown}"… (${text.length} characters)`;
    }
    shown += escaped;
  }
  return `"${shown}"`;
}

function escapeCharacter(character: string): string {
  if (character === '"' || character === "\\") return `\\${character}`;
  const code = character.codePointAt(0) ?? 0;
  return code >= 0x20 && code < 0x7f ? character : `\\u{${code.toString(16)}}`;
}
