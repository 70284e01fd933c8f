import { isIP, isIPv6 } from "node:net";
import { canonicalIpv6, formatTarget, parseTarget } from "@culvert/wire";
import type { Kind } from "./kind.ts";

/** Ports from `first` to `last`, both included. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** Addresses a server may dial for clients: a host or a network, and ports. */
export interface AllowRule {
  /** As it was written, for messages and status. */
  readonly text: string;
  /** A host name or IP address that must match exactly, or the address of a network. */
  readonly host: string;
  /** The length of the network's prefix in bits; undefined where `host` is a single host. */
  readonly prefixBits: number | undefined;
  readonly ports: readonly PortRange[];
}

/** `127.0.0.1:5900`, `printer.lan:631`, `192.168.1.0/24:80,443,8000-8100`, `[fd00::]/64:22`, `10.0.0.0/8:*`. */
export const allowRuleKind: Kind<AllowRule> = {
  expected:
    "HOST:PORTS or NETWORK/BITS:PORTS such as 127.0.0.1:5900, 192.168.1.0/24:80,8000-8100 or [fd00::]/64:22",
  parse(raw, place) {
    const rule = typeof raw === "string" ? readRule(raw) : undefined;
    return rule ?? place.fail(allowRuleKind.expected, raw);
  },
  print: ({ text }) => text,
};

/** What a grant opens: a service name, a port, a range of ports, `host:port`, or `*` for everything the server allows. */
export const grantServiceKind: Kind<string> = {
  expected: "a service name, a port, a range such as 8000-8100, host:port, or *",
  parse(raw, place) {
    const text = typeof raw === "number" ? String(raw) : raw;
    if (typeof text !== "string") return place.fail(grantServiceKind.expected, raw);
    if (text === "*") return text;
    if (/^\d+-\d+$/.test(text)) {
      const range = readPorts(text)?.[0];
      return range === undefined
        ? place.fail("a range of ports from 1 to 65535, lower first", raw)
        : `${range.first}-${range.last}`;
    }
    try {
      return formatTarget(parseTarget(text));
    } catch {
      return place.fail(grantServiceKind.expected, raw);
    }
  },
  print: (value) => (/^\d+$/.test(value) ? Number(value) : value),
};

/** Ports and ranges: `20000-20999,22022`. */
export const portRangesKind: Kind<readonly PortRange[]> = {
  expected: "ports and ranges of ports such as 20000-20999,22022",
  parse(raw, place) {
    const text = typeof raw === "number" ? String(raw) : raw;
    const ranges = typeof text === "string" && text !== "*" ? readPorts(text) : undefined;
    return ranges === undefined ? place.fail(portRangesKind.expected, raw) : Object.freeze(ranges);
  },
  print: (ranges) =>
    ranges.map(({ first, last }) => (first === last ? String(first) : `${first}-${last}`)).join(),
};

function readRule(text: string): AllowRule | undefined {
  const match = /^(.+?)(?:\/(\d{1,3}))?:([\d,*-]+)$/.exec(text);
  const [, written = "", bits, portText = ""] = match ?? [];
  const host = readHost(written);
  const ports = readPorts(portText);
  if (host === undefined || ports === undefined) return undefined;
  if (bits === undefined) return Object.freeze({ text, host, prefixBits: undefined, ports });
  const prefixBits = Number(bits);
  const most = isIPv6(host) ? 128 : 32;
  if (isIP(host) === 0 || prefixBits > most) return undefined;
  return Object.freeze({ text, host, prefixBits, ports });
}

function readHost(text: string): string | undefined {
  const bracketed = /^\[(.*)\]$/.exec(text)?.[1];
  if (bracketed !== undefined) return canonicalIpv6(bracketed);
  try {
    const target = parseTarget(`${text}:1`);
    return target.kind === "address" ? target.host : undefined;
  } catch {
    return undefined;
  }
}

function readPorts(text: string): readonly PortRange[] | undefined {
  if (text === "*") return [{ first: 1, last: 65_535 }];
  const ranges: PortRange[] = [];
  for (const part of text.split(",")) {
    const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(part);
    const first = Number(match?.[1]);
    const last = Number(match?.[2] ?? match?.[1]);
    if (!(first >= 1 && last <= 65_535 && first <= last)) return undefined;
    ranges.push({ first, last });
  }
  return ranges;
}
