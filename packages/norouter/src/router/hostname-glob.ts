/** The form in which names are compared: lower case, without the final dot. */
export function canonicalName(name: string): string {
  return name.toLowerCase().replace(/\.$/, "");
}

/**
 * Whether a name fits a glob such as `*.corp.example`. Only `*` is special; it stands for any text, dots included. Takes time in
 * proportion to the lengths, whatever the glob.
 */
export function globMatches(glob: string, name: string): boolean {
  const text = canonicalName(name);
  const [first = "", ...rest] = canonicalName(glob).split("*");
  const last = rest.pop();
  if (last === undefined) return text === first;
  if (!text.startsWith(first) || text.length < first.length + last.length) return false;
  const end = text.length - last.length;
  let at = first.length;
  for (const part of rest) {
    // The first place it fits leaves most for those that follow.
    const found = text.indexOf(part, at);
    if (found === -1 || found + part.length > end) return false;
    at = found + part.length;
  }
  return text.endsWith(last);
}
