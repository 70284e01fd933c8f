import { ConfigError } from "@culvert/runtime";
import { canonicalIpv6, isIpv4 } from "./ip-address.ts";
import { serviceNameProblem } from "./name.ts";
import { quoteText } from "./quote-text.ts";

/**
 * What a connection is for, as the server sees it: a service it offers, a port of its own machine, or an address in its
 * network. `host` is a canonical IP address without brackets or a lower-case host name. Ports are 1 to 65535.
 */
export type Target =
  | { readonly kind: "service"; readonly name: string }
  | { readonly kind: "port"; readonly port: number }
  | { readonly kind: "address"; readonly host: string; readonly port: number };

/**
 * Reads a target: `ssh`, `5900`, `192.168.1.9:80`, `[fd00::1]:80`, `printer.lan:631` (PROTOCOL.md §6.2). IPv6 addresses are
 * brought to their canonical form and host names to lower case.
 * @throws ConfigError `bad_target`; its text shows at most 80 characters of the target, escaped.
 */
export function parseTarget(text: string): Target {
  const result = readTarget(text);
  if (typeof result !== "string") return result;
  throw new ConfigError("bad_target", `${quoteText(text)} is not a target: ${result}`, {
    data: { length: text.length },
  });
}

/** The canonical text of a target, which {@link parseTarget} reads back to an equal one. */
export function formatTarget(target: Target): string {
  switch (target.kind) {
    case "service":
      return target.name;
    case "port":
      return String(target.port);
    case "address":
      return target.host.includes(":")
        ? `[${target.host}]:${target.port}`
        : `${target.host}:${target.port}`;
  }
}

/** What is wrong with a target that stands in a tip, or undefined. There it must be in its canonical form (PROTOCOL.md §6.2). */
export function targetProblem(text: string): string | undefined {
  const result = readTarget(text);
  if (typeof result === "string") return result;
  const canonical = formatTarget(result);
  return canonical === text ? undefined : `its canonical form is ${quoteText(canonical)}`;
}

function readTarget(text: string): Target | string {
  if (text.length > maxTargetLength) {
    return `it has ${text.length} characters and may have ${maxTargetLength}`;
  }
  if (/^\d+$/.test(text)) {
    const port = readPort(text);
    return typeof port === "string" ? port : { kind: "port", port };
  }
  const colon = text.lastIndexOf(":");
  if (colon === -1) {
    return serviceNameProblem(text) ?? { kind: "service", name: text };
  }
  const port = readPort(text.slice(colon + 1));
  const host = readHost(text.slice(0, colon));
  if ("problem" in host) return host.problem;
  return typeof port === "string" ? port : { kind: "address", host: host.host, port };
}

function readPort(text: string): number | string {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  return port >= 1 && port <= 65_535 ? port : "a port is a number from 1 to 65535";
}

function readHost(text: string): { readonly host: string } | { readonly problem: string } {
  const bracketed = /^\[(.*)\]$/.exec(text)?.[1];
  if (bracketed !== undefined) {
    const host = canonicalIpv6(bracketed);
    return host === undefined ? { problem: "no IPv6 address stands in the brackets" } : { host };
  }
  if (text.includes(":")) {
    return { problem: "an IPv6 address with a port is written [address]:port" };
  }
  if (isIpv4(text)) return { host: text };
  const labels = text.toLowerCase().split(".");
  if (!labels.every((label) => /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/.test(label))) {
    return { problem: "the host is neither an IP address nor a host name" };
  }
  // Resolvers read 127.1, 0x7f000001 and 010.0.0.1 as addresses, which would slip past lists of allowed addresses.
  if (/^(?:\d+|0x[0-9a-f]*)$/.test(labels.at(-1) ?? "")) {
    return { problem: "an IPv4 address is four numbers from 0 to 255 without leading zeros" };
  }
  const host = labels.join(".");
  if (host.length > 253) return { problem: "a host name has at most 253 characters" };
  return { host };
}

const maxTargetLength = 253 + ":65535".length;
