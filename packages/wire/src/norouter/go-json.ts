/** What {@link goJson} writes: JSON values, and maps, whose keys it sorts. */
export type GoJsonValue =
  | null
  | boolean
  | number
  | string
  | readonly GoJsonValue[]
  | ReadonlyMap<string, GoJsonValue>
  | { readonly [key: string]: GoJsonValue | undefined };

/**
 * JSON as Go's encoding/json writes it: compact; members of objects in their order and those of maps sorted by code points; `<`,
 * `>`, `&` and the two line separators escaped. Members that are undefined are left out.
 */
export function goJson(value: GoJsonValue): string {
  if (value instanceof Map) {
    const entries = [...(value as ReadonlyMap<string, GoJsonValue>)];
    entries.sort(([left], [right]) => compareCodePoints(left, right));
    return membersOf(entries);
  }
  if (Array.isArray(value)) {
    return `[${(value as readonly GoJsonValue[]).map((element) => goJson(element)).join(",")}]`;
  }
  if (typeof value === "object" && value !== null) return membersOf(Object.entries(value));
  return scalar(value);
}

function membersOf(entries: readonly (readonly [string, GoJsonValue | undefined])[]): string {
  const members: string[] = [];
  for (const [key, value] of entries) {
    if (value !== undefined) members.push(`${scalar(key)}:${goJson(value)}`);
  }
  return `{${members.join(",")}}`;
}

function scalar(value: boolean | number | string | null): string {
  return JSON.stringify(value).replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function compareCodePoints(left: string, right: string): number {
  const a = Array.from(left);
  const b = Array.from(right);
  for (let index = 0; index < Math.min(a.length, b.length); index += 1) {
    const difference = (a[index]?.codePointAt(0) ?? 0) - (b[index]?.codePointAt(0) ?? 0);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}
