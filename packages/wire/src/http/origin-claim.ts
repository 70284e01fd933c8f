/**
 * Whether a header field of a request claims where the request came from, or how: what an entrance replaces by what it knows itself, since
 * a service behind it believes such fields. Also those spelled with underscores, which some servers take for hyphens, and `Proxy`, which
 * programs behind CGI take for their own proxy.
 */
export function isOriginClaim(fieldName: string): boolean {
  const name = fieldName.toLowerCase().replaceAll("_", "-");
  return name.startsWith("x-forwarded-") || claims.has(name);
}

const claims: ReadonlySet<string> = new Set([
  "cf-connecting-ip",
  "client-ip",
  "fastly-client-ip",
  "forwarded",
  "forwarded-for",
  "proxy",
  "true-client-ip",
  "x-client-ip",
  "x-cluster-client-ip",
  "x-forwarded",
  "x-original-forwarded-for",
  "x-originating-ip",
  "x-real-ip",
  "x-remote-addr",
  "x-remote-ip",
]);
