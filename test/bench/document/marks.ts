/**
 * The document with the text of one part between its marks. A section that has not the marks of all its parts yet gets them, each
 * empty, in place of what it held. Throws where the section itself has no marks.
 */
export function fillPart(
  document: string,
  section: { readonly name: string; readonly parts: readonly string[] },
  part: string,
  text: string,
): string {
  const [start] = between(document, section.name);
  const marked = section.parts.every((each) =>
    document.includes(opening(`${section.name}/${each}`), start),
  );
  const empty = section.parts.map((each) => wrap(`${section.name}/${each}`, "Not measured yet."));
  const ready = marked ? document : replace(document, section.name, empty.join("\n\n"));
  return replace(ready, `${section.name}/${part}`, text);
}

function replace(document: string, name: string, text: string): string {
  const [start, end] = between(document, name);
  return `${document.slice(0, start)}\n\n${text.trim()}\n\n${document.slice(end)}`;
}

function wrap(name: string, text: string): string {
  return `${opening(name)}\n\n${text}\n\n${closing(name)}`;
}

function between(document: string, name: string): readonly [start: number, end: number] {
  const start = document.indexOf(opening(name));
  const end = document.indexOf(closing(name), start);
  if (start === -1 || end === -1) throw new Error(`the document has no marks for ${name}`);
  return [start + opening(name).length, end];
}

function opening(name: string): string {
  return `<!-- measured: ${name} -->`;
}

function closing(name: string): string {
  return `<!-- end of ${name} -->`;
}
