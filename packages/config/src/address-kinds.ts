import { isIP, isIPv6 } from "node:net";
import { canonicalIpv6, parseTarget } from "@culvert/wire";
import type { Kind } from "./kind.ts";
import { show } from "./place.ts";

/** A host (lower-case name, or canonical IP address without brackets) and a port. */
export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** An address to listen at: an IP address or `localhost`, and a port, where 0 takes any free one. */
export const listenKind: Kind<HostPort> = {
  expected: "an IP address and a port such as 127.0.0.1:30380, [::1]:30380 or 0.0.0.0:443",
  parse(raw, place) {
    const match = typeof raw === "string" ? /^(?:\[([^\]]*)\]|([^:]*)):(\d{1,5})$/.exec(raw) : null;
    const [, v6, v4, digits] = match ?? [];
    const host = v6 !== undefined ? canonicalIpv6(v6) : v4 === "localhost" ? "127.0.0.1" : v4;
    const port = Number(digits);
    if (host === undefined || isIP(host) === 0 || !(port <= 65_535)) {
      return place.fail(listenKind.expected, raw);
    }
    return { host, port };
  },
  print: formatHostPort,
};

/** An address to dial: an IP address or a host name, and a port. */
export const dialKind: Kind<HostPort> = {
  expected: "a host and a port such as relay.example.org:443, 192.0.2.7:30380 or [2001:db8::7]:443",
  parse: (raw, place) =>
    (typeof raw === "string" ? parseHostPort(raw) : undefined) ??
    place.reject(`expected ${dialKind.expected}, found ${show(raw)}`),
  print: formatHostPort,
};

/** Reads `host:port` with a port that can be dialled; undefined where the text is none. */
export function parseHostPort(text: string): HostPort | undefined {
  try {
    const target = parseTarget(text);
    return target.kind === "address" ? { host: target.host, port: target.port } : undefined;
  } catch {
    return undefined;
  }
}

/** `192.0.2.1:443`, `[2001:db8::1]:443`, `relay.example.org:443`. */
export function formatHostPort({ host, port }: HostPort): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
}
