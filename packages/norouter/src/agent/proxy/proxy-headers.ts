/**
 * The headers of a message that are meant for its other end, names and values in turn: without those of one hop (RFC 9110 §7.6.1), of
 * which a proxy's credentials are one, and without the framing where `keepsFraming` is false.
 */
export function endToEndHeaders(rawHeaders: readonly string[], keepsFraming: boolean): string[] {
  const dropped = new Set(hopByHop);
  for (const value of valuesOf(rawHeaders, "connection")) {
    for (const name of value.split(",")) dropped.add(name.trim().toLowerCase());
  }
  // Without it the length of the message would be lost.
  dropped.delete("content-length");
  if (!keepsFraming) dropped.add("transfer-encoding");
  else dropped.delete("transfer-encoding");
  const kept: string[] = [];
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? "";
    if (!dropped.has(name.toLowerCase())) kept.push(name, rawHeaders[at + 1] ?? "");
  }
  return kept;
}

/** All values of a header, whose name is given in lower case. */
export function valuesOf(rawHeaders: readonly string[], name: string): string[] {
  return rawHeaders.filter((_, at) => at % 2 === 1 && rawHeaders[at - 1]?.toLowerCase() === name);
}

/** The same headers, and a Host that says where the message goes, whatever it said before (RFC 9112 §3.2.2). */
export function withHost(headers: readonly string[], host: string): string[] {
  const others = headers.filter((_, at) => headers[at - (at % 2)]?.toLowerCase() !== "host");
  return ["Host", host, ...others];
}

const hopByHop = [
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "upgrade",
];
