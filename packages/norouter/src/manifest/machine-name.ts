import { isIPv6 } from "node:net";
import { parseIpv4 } from "../router/ipv4.ts";

/**
 * Whether a text is the name of a machine, or its IPv4 address. A text whose last part is a number is never a name (there is no such top
 * domain), so that a mistyped address does not pass for one.
 */
export function isMachineName(text: string): boolean {
  if (!/^[A-Za-z0-9._-]{1,253}$/.test(text)) return false;
  return parseIpv4(text) !== undefined || !endsInNumber(text);
}

/** Whether programs take a text for an IPv4 address, be it a right one or not: `127.0.0.999`, `10.1`, `7`. */
export function endsInNumber(text: string): boolean {
  return /(?:^|\.)(?:\d+|0x[\da-f]*)\.?$/i.test(text);
}

/** Where a proxy is to listen. */
export interface ListenText {
  /** "" for all addresses. */
  readonly host: string;
  /** 0 for any port that is free. */
  readonly port: number;
}

/** Reads `127.0.0.1:18080`, `[::1]:18080`, `name:18080` or `:18080`; undefined where the text is none of these. */
export function parseListenText(text: string): ListenText | undefined {
  const [, ipv6, name = "", digits = ""] = /^(?:\[(.*)\]|([^:[\]]*)):(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (digits === "" || port > 65_535) return undefined;
  if (ipv6 !== undefined) return isIPv6(ipv6) ? { host: ipv6, port } : undefined;
  return name === "" || isMachineName(name) ? { host: name, port } : undefined;
}

/** Whether only one of two can listen where they are to: the same port, of the same address or of all. */
export function collide(one: ListenText, other: ListenText): boolean {
  if (one.port !== other.port || one.port === 0) return false;
  const [left, right] = [one, other].map(({ host }) => aliases.get(host) ?? host.toLowerCase());
  return left === right || left === "" || right === "";
}

const aliases = new Map([
  ["localhost", "127.0.0.1"],
  ["0.0.0.0", ""],
  ["::", ""],
]);
