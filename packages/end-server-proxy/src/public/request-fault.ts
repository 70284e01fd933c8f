import type { IncomingMessage } from "node:http";
import { hostOfAuthority } from "@culvert/wire";

/**
 * The status that a request is refused with: 400 where two readers could take its host for two things (RFC 9112 §3.2), 421 where
 * that is another than the name the connection is for (RFC 9110 §15.5.20), so that nobody reaches one site by the name of another.
 * A connection without a name, at a port, may ask for any host.
 */
export function requestFault(
  { url = "", method, headers, rawHeaders }: IncomingMessage,
  name: string,
): 400 | 421 | undefined {
  if (!url.startsWith("/") && !(url === "*" && method === "OPTIONS")) return 400;
  const hosts = rawHeaders.filter((text, at) => at % 2 === 0 && text.toLowerCase() === "host");
  if (hosts.length > 1) return 400;
  if (headers.host === undefined || name === "") return undefined;
  const host = hostOfAuthority(headers.host);
  if (host === undefined) return 400;
  return host.kind === "name" && host.name === name ? undefined : 421;
}
