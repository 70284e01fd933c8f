import { BlockList, isIP } from "node:net";
import type { HostPort } from "../host-port.ts";

/** An HTTP proxy that knows CONNECT (RFC 9110 §9.3.6). */
export interface HttpProxy {
  readonly address: HostPort;
  /** `user:password` for Basic authentication (RFC 7617); never logged. */
  readonly credentials?: { reveal(): string } | undefined;
}

/**
 * Targets for which the proxy is not asked, as `no_proxy` lists them: names and their subdomains (`example.com`, `.example.com`,
 * `*.example.com`), addresses (`192.0.2.1`, `[2001:db8::1]`), networks (`10.0.0.0/8`), each with an optional port, and `*` for all. What
 * cannot be read matches nothing.
 */
export class ProxyBypass {
  readonly #entries: readonly Entry[];

  constructor(noProxy: string) {
    this.#entries = noProxy
      .split(/[\s,]+/)
      .filter((entry) => entry !== "")
      .map(parseEntry);
  }

  /** Whether `target` is dialled directly. Names are not resolved for it. */
  matches(target: HostPort): boolean {
    const host = target.host.toLowerCase().replace(/\.$/, "");
    return this.#entries.some(
      ({ port, matches }) => (port === undefined || port === target.port) && matches(host),
    );
  }
}

interface Entry {
  readonly port: number | undefined;
  readonly matches: (host: string) => boolean;
}

function parseEntry(text: string): Entry {
  if (text === "*") return { port: undefined, matches: () => true };
  const [, bracketed, plain = "", digits] =
    /^(?:\[([^\]]*)\]|([^:]*|.*:.*:.*?))(?::(\d+))?$/.exec(text) ?? [];
  const port = digits === undefined ? undefined : Number(digits);
  const host = (bracketed ?? plain).toLowerCase();
  const [address = "", prefix] = host.split("/");
  const family = isIP(address);
  if (family === 0) {
    const name = host.replace(/^\*?\./, "").replace(/\.$/, "");
    return { port, matches: (other) => other === name || other.endsWith(`.${name}`) };
  }
  const list = new BlockList();
  const kind = family === 6 ? "ipv6" : "ipv4";
  const bits = prefix === undefined ? (family === 6 ? 128 : 32) : Number(prefix);
  if (!Number.isInteger(bits) || bits < 0 || bits > (family === 6 ? 128 : 32)) {
    return { port, matches: () => false };
  }
  list.addSubnet(address, bits, kind);
  return {
    port,
    matches: (other) => isIP(other) !== 0 && list.check(other, isIP(other) === 6 ? "ipv6" : "ipv4"),
  };
}
