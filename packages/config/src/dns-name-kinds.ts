import { isIP } from "node:net";
import type { Kind } from "./kind.ts";

/** A DNS name of at least two labels, lower case, without the final dot: letters, digits and dashes (RFC 1123 §2.1), 253 bytes at most. */
export const dnsNameKind: Kind<string> = {
  expected: "a DNS name such as app.example.com",
  parse(raw, place) {
    return readDnsName(raw) ?? place.fail(dnsNameKind.expected, raw);
  },
  print: (value) => value,
};

/** A DNS name, or `*.` before one for every name below it. */
export const dnsPatternKind: Kind<string> = {
  expected: "a DNS name such as app.example.com, or *.box.example.com for every name below",
  parse(raw, place) {
    const isWildcard = typeof raw === "string" && raw.startsWith("*.");
    const name = readDnsName(isWildcard ? raw.slice(2) : raw);
    if (name === undefined) return place.fail(dnsPatternKind.expected, raw);
    return isWildcard ? `*.${name}` : name;
  },
  print: (value) => value,
};

function readDnsName(raw: unknown): string | undefined {
  // Names are compared as bytes, so one spelling of each is kept; a wildcard has to fit in 253 bytes too.
  if (typeof raw !== "string" || raw.length > 251 || isIP(raw) !== 0) return undefined;
  const name = raw.toLowerCase();
  const labels = name.split(".");
  const isSound = labels.every((label) => /^(?!-)[a-z0-9-]{1,63}(?<!-)$/.test(label));
  return labels.length >= 2 && isSound ? name : undefined;
}
