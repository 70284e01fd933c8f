/**
 * The same fields with the values of secret names replaced, three levels deep; the very object where there are none, so that a line
 * without secrets costs no copy.
 */
export function hideSecrets<T extends object>(fields: T, levels = searchedLevels): T {
  let copy: T | undefined;
  for (const key of Object.keys(fields) as (keyof T & string)[]) {
    const value = fields[key];
    const hidden = secretNames.has(key) ? censored : searched(value, levels - 1);
    if (hidden === value) continue;
    copy ??= (Array.isArray(fields) ? [...(fields as unknown[])] : { ...fields }) as T;
    copy[key] = hidden as T[typeof key];
  }
  return copy ?? fields;
}

function searched(value: unknown, levels: number): unknown {
  if (typeof value !== "object" || value === null || levels === 0) return value;
  // Bytes hold no names, and what makes its own JSON decides itself what it shows.
  if (ArrayBuffer.isView(value) || "toJSON" in value) return value;
  return hideSecrets(value, levels);
}

const secretNames = new Set([
  "password",
  "secret",
  "token",
  "privateKey",
  "authorization",
  "proxyAuthorization",
]);
const censored = "[redacted]";
const searchedLevels = 3;
