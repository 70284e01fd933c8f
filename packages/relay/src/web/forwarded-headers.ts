import { isOriginClaim } from "@culvert/wire";

/** Header fields, names to values; a field that came several times has several values. */
export type HeaderFields = Record<string, string | string[]>;

/** What a device is told about who asks. */
export interface ForwardedFor {
  readonly address: string;
  readonly proto: "http" | "https";
  /** The authority asked for: a name, and its port where the client gave one. */
  readonly host: string;
}

/**
 * The fields of a request as the device gets it: those of a hop are left out (RFC 9110 §7.6.1), and whatever the client said
 * about who it is or how it came is replaced by what the relay knows. `raw` is names and values in turn. Framing is the
 * caller's: `content-length` and `transfer-encoding` are left out.
 */
export function requestFields(raw: readonly string[], forwarded: ForwardedFor): HeaderFields {
  const fields = endToEnd(
    raw,
    (name) => isOriginClaim(name) || name === "host" || name === "expect",
  );
  const { cookie } = fields;
  // HTTP/2 may send cookies one by one; HTTP/1.1 knows one field of them (RFC 9113 §8.2.3).
  if (Array.isArray(cookie)) fields["cookie"] = cookie.join("; ");
  fields["host"] = forwarded.host;
  fields["x-forwarded-for"] = forwarded.address;
  fields["x-forwarded-proto"] = forwarded.proto;
  fields["x-forwarded-host"] = forwarded.host;
  return fields;
}

/** The fields of an answer as the client gets it: those of a hop are left out, framing but for `content-length` too. */
export function responseFields(raw: readonly string[]): HeaderFields {
  return endToEnd(raw, () => false, new Set(["content-length"]));
}

/** All values of a field in a raw list of names and values. */
export function rawValues(raw: readonly string[], wanted: string): string[] {
  return pairs(raw)
    .filter(([name]) => name.toLowerCase() === wanted)
    .map(([, value]) => value);
}

function endToEnd(
  raw: readonly string[],
  leaveOut: (name: string) => boolean,
  keep: ReadonlySet<string> = new Set(),
): HeaderFields {
  const named = new Set(
    rawValues(raw, "connection")
      .flatMap((value) => value.split(","))
      .map((name) => name.trim().toLowerCase()),
  );
  const fields = Object.create(null) as HeaderFields;
  for (const [original, value] of pairs(raw)) {
    const name = original.toLowerCase();
    // Some servers take underscores for hyphens.
    const isHop = hopByHop.has(name.replaceAll("_", "-")) || named.has(name);
    if (isHop && !keep.has(name)) continue;
    if (leaveOut(name) || name.startsWith(":")) continue;
    const before = fields[name];
    if (before === undefined) fields[name] = value;
    else if (keep.has(name)) continue;
    else fields[name] = Array.isArray(before) ? [...before, value] : [before, value];
  }
  return fields;
}

function pairs(raw: readonly string[]): (readonly [name: string, value: string])[] {
  return Array.from({ length: raw.length >> 1 }, (_, index) => {
    return [raw[2 * index] ?? "", raw[2 * index + 1] ?? ""] as const;
  });
}

const hopByHop = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "proxy-authenticate",
  "proxy-authorization",
  "te",
  "trailer",
  "transfer-encoding",
  "content-length",
  "upgrade",
  "http2-settings",
]);
