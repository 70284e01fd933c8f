import { BlockList, isIP, isIPv4 } from "node:net";
import { errorText } from "@culvert/runtime";
import { canonicalIpv6, parseTarget, quoteText, Status, type Target } from "@culvert/wire";

/** Ports from `first` to `last`, both included. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** Addresses that clients may ask for: one host, or a network. */
export interface AllowRule {
  /** As it was written, for messages and status. */
  readonly text: string;
  /** A host name, an IP address without brackets, or the address of a network. */
  readonly host: string;
  /** The length of the network's prefix in bits; undefined where `host` is one host. */
  readonly prefixBits: number | undefined;
  readonly ports: readonly PortRange[];
}

/** Where a service is. */
export type ServiceTarget =
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  | { readonly kind: "unix"; readonly path: string };

/** What may be done about a target. */
export type Resolution =
  /** To be dialled at these addresses and no others, in this order. */
  | { readonly kind: "addresses"; readonly addresses: readonly string[]; readonly port: number }
  /** Allowed by its name, whatever that leads to. */
  | { readonly kind: "name"; readonly host: string; readonly port: number }
  /** To be looked up; only those addresses that {@link AllowList.permitsAddress} allows may be dialled. */
  | { readonly kind: "lookup"; readonly host: string; readonly port: number }
  | { readonly kind: "unix"; readonly path: string }
  | { readonly kind: "refused"; readonly status: number; readonly text: string };

/**
 * What the clients of an end server may reach: its services by name, and the addresses its rules cover. Nothing listed is nothing
 * reachable; a service does not open its address, nor an address a service. A name is matched by name rules only; rules of addresses
 * are held against the address that is dialled in the end, so that no name can be made to lead past them. Pure.
 */
export class AllowList {
  readonly #services: ReadonlyMap<string, ServiceTarget>;
  readonly #rules: readonly CompiledRule[];

  constructor(allowed: {
    readonly services: ReadonlyMap<string, ServiceTarget>;
    readonly rules: readonly AllowRule[];
  }) {
    this.#services = new Map(allowed.services);
    this.#rules = allowed.rules.map(compileRule);
  }

  /** Says what to do about the text of a target (PROTOCOL.md §6.2). Never throws. */
  resolve(text: string): Resolution {
    let target: Target;
    try {
      target = parseTarget(text);
    } catch (error) {
      return { kind: "refused", status: Status.malformed, text: errorText(error) };
    }
    switch (target.kind) {
      case "service":
        return this.#resolveService(target.name);
      case "port":
        return this.#resolveAddress(loopbackIpv4, target.port, text);
      case "address":
        return isIP(target.host) === 0
          ? this.#resolveName(target.host, target.port, text)
          : this.#resolveAddress(target.host, target.port, text);
    }
  }

  /** Whether a rule covers an IP address and port. */
  permitsAddress(address: string, port: number): boolean {
    const plain = plainAddress(address);
    if (plain === undefined || isUnspecified(plain)) return false;
    return this.#rules.some((rule) => rule.covers(port) && rule.hasAddress(plain));
  }

  /** One line for each service and rule, for status listings. */
  describe(): readonly string[] {
    const services = [...this.#services].map(([name, at]) =>
      at.kind === "unix" ? `${name} = unix:${at.path}` : `${name} = ${formatAt(at.host, at.port)}`,
    );
    return [...services, ...this.#rules.map((rule) => rule.text)];
  }

  #resolveService(name: string): Resolution {
    const service = this.#services.get(name);
    if (service === undefined) return denied(`there is no service ${quoteText(name)} here`);
    if (service.kind === "unix") return service;
    const { host, port } = service;
    if (isLocalhost(host)) return { kind: "addresses", addresses: loopbackAddresses, port };
    const address = plainAddress(host);
    return address === undefined
      ? { kind: "name", host, port }
      : { kind: "addresses", addresses: [address], port };
  }

  #resolveAddress(host: string, port: number, text: string): Resolution {
    const address = plainAddress(host);
    return address !== undefined && this.permitsAddress(address, port)
      ? { kind: "addresses", addresses: [address], port }
      : notListed(text);
  }

  #resolveName(host: string, port: number, text: string): Resolution {
    // Never asked of a resolver, which could be made to answer with another machine (RFC 6761 §6.3).
    if (isLocalhost(host)) {
      const addresses = loopbackAddresses.filter((each) => this.permitsAddress(each, port));
      return addresses.length > 0 ? { kind: "addresses", addresses, port } : notListed(text);
    }
    const rules = this.#rules.filter((rule) => rule.covers(port));
    if (rules.some((rule) => rule.name === host)) return { kind: "name", host, port };
    // Without a rule of addresses for the port there is nothing to find out, and no resolver is bothered.
    return rules.some((rule) => rule.name === undefined)
      ? { kind: "lookup", host, port }
      : notListed(text);
  }
}

interface CompiledRule {
  readonly text: string;
  /** The host name it is about; undefined where it is about addresses. */
  readonly name: string | undefined;
  readonly covers: (port: number) => boolean;
  /** Takes an address in plain form. */
  readonly hasAddress: (address: string) => boolean;
}

function compileRule({ text, host, prefixBits, ports }: AllowRule): CompiledRule {
  const covers = (port: number): boolean =>
    ports.some(({ first, last }) => first <= port && port <= last);
  if (isLocalhost(host)) {
    return {
      text,
      name: undefined,
      covers,
      hasAddress: (each) => loopbackAddresses.includes(each),
    };
  }
  const base = plainAddress(host);
  if (base === undefined) {
    return { text, name: host.toLowerCase(), covers, hasAddress: () => false };
  }
  if (prefixBits === undefined) {
    return { text, name: undefined, covers, hasAddress: (address) => address === base };
  }
  const network = new BlockList();
  const family = familyOf(base);
  // Bits of a network written as IPv4 in IPv6 are counted from the start of the IPv6 address.
  const bits = family === "ipv4" && !isIPv4(host) ? Math.max(0, prefixBits - 96) : prefixBits;
  network.addSubnet(base, bits, family);
  // BlockList alone would find every IPv4 address within ::/0.
  const hasAddress = (address: string): boolean =>
    familyOf(address) === family && network.check(address, family);
  return { text, name: undefined, covers, hasAddress };
}

/** The one spelling under which an address is compared and dialled: IPv4 in IPv6 becomes IPv4. Undefined where it is none. */
function plainAddress(text: string): string | undefined {
  if (isIPv4(text)) return text;
  const ipv6 = canonicalIpv6(text);
  if (ipv6?.startsWith("::ffff:") === true) {
    const inner = ipv6.slice("::ffff:".length);
    if (isIPv4(inner)) return inner;
  }
  return ipv6;
}

/** The wildcard addresses, which systems take for their own loopback address when dialled. */
function isUnspecified(address: string): boolean {
  return address === "0.0.0.0" || address === "::";
}

function isLocalhost(host: string): boolean {
  return /^(?:.*\.)?localhost$/i.test(host);
}

function familyOf(address: string): "ipv4" | "ipv6" {
  return isIPv4(address) ? "ipv4" : "ipv6";
}

function formatAt(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

function notListed(target: string): Resolution {
  return denied(`${quoteText(target)} is not on the allow list`);
}

function denied(text: string): Resolution {
  return { kind: "refused", status: Status.permission_denied_by_server, text };
}

const loopbackIpv4 = "127.0.0.1";
const loopbackAddresses: readonly string[] = [loopbackIpv4, "::1"];
