import { isIP, isIPv6 } from "node:net";
import { canonicalIpv6, parseTarget } from "@culvert/wire";
import type { Kind } from "./kind.ts";
import { show } from "./place.ts";

/** A host (lower-case name, or canonical IP address without brackets) and a port. */
export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** A UDP address to listen at: an IP address and a port, where 0 takes any free one. */
export const udpListenKind: Kind<HostPort> = {
  expected: "an IP address and a port such as 127.0.0.1:30380, [::1]:30380 or 0.0.0.0:443",
  parse(raw, place) {
    return parseListen(raw) ?? place.fail(udpListenKind.expected, raw);
  },
  print: formatHostPort,
};

/** A TCP address to listen at: like a UDP one, or `localhost` for both loopback addresses. */
export const tcpListenKind: Kind<HostPort> = {
  expected: "an IP address or localhost, and a port, such as 127.0.0.1:30381 or [::1]:30381",
  parse(raw, place) {
    const local = typeof raw === "string" ? /^localhost:(\d{1,5})$/.exec(raw) : null;
    if (local !== null && Number(local[1]) <= 65_535) {
      return { host: "localhost", port: Number(local[1]) };
    }
    return parseListen(raw) ?? place.fail(tcpListenKind.expected, raw);
  },
  print: formatHostPort,
};

function parseListen(raw: unknown): HostPort | undefined {
  const match = typeof raw === "string" ? /^(?:\[([^\]]*)\]|([^:]*)):(\d{1,5})$/.exec(raw) : null;
  const [, v6, v4, digits] = match ?? [];
  const host = v6 === undefined ? v4 : canonicalIpv6(v6);
  const port = Number(digits);
  return host !== undefined && isIP(host) !== 0 && port <= 65_535 ? { host, port } : undefined;
}

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
