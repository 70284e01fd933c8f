/** Length of a text in characters: Unicode code points (PROTOCOL.md §7). */
export function characterCount(text: string): number {
  let count = 0;
  for (let index = 0; index < text.length; index += unitsAt(text, index)) count += 1;
  return count;
}

/** The first `maxLength` characters of a text; never half a surrogate pair. */
export function clipText(text: string, maxLength: number): string {
  if (text.length <= maxLength) return text;
  let index = 0;
  for (let count = 0; count < maxLength && index < text.length; count += 1) {
    index += unitsAt(text, index);
  }
  return text.slice(0, index);
}

/** Bytes a text takes as UTF-8; a lone surrogate counts as U+FFFD, which is what encoders write for it. */
export function utf8Length(text: string): number {
  let bytes = 0;
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    if (unit < 0x80) bytes += 1;
    else if (unit < 0x800) bytes += 2;
    else if (unitsAt(text, index) === 2) {
      bytes += 4;
      index += 1;
    } else bytes += 3;
  }
  return bytes;
}

function unitsAt(text: string, index: number): 1 | 2 {
  return (text.codePointAt(index) ?? 0) > 0xffff ? 2 : 1;
}
