import { isIP } from "node:net";
import { BlockList } from "node:net";
import { ConfigError } from "@culvert/runtime";
import type { HostPort } from "../host-port.ts";

/** An HTTP proxy that knows CONNECT (RFC 9110 §9.3.6). */
export interface HttpProxy extends HostPort {
  /** Whether the way to the proxy itself is TLS (`https://`), its certificate verified. */
  readonly tls: boolean;
  /** User and password (Basic, RFC 7617); never logged. */
  readonly credentials?: { readonly user: string; readonly reveal: () => string } | undefined;
}

/** Which way out there is. */
export interface HttpProxySettings {
  readonly proxy: HttpProxy;
  /** Targets that are dialled without the proxy. */
  readonly bypass: ProxyBypass;
}

/**
 * Reads what stands in `https_proxy`: `http://user:password@proxy.example:3128`, with `http` where no scheme is given. Percent
 * escapes in user and password are resolved.
 * @throws ConfigError `bad_address`, without the text, in which a password may stand.
 */
export function parseHttpProxy(text: string): HttpProxy {
  let url: URL;
  try {
    url = new URL(/^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`);
  } catch {
    throw badProxy("it is no URL such as http://proxy.example:3128");
  }
  const tls = url.protocol === "https:";
  if (!tls && url.protocol !== "http:") {
    throw badProxy(`only http and https proxies are known, not ${url.protocol.slice(0, 20)}`);
  }
  if (url.hostname === "" || !["", "/"].includes(url.pathname) || url.search !== "") {
    throw badProxy("it has a host and a port, and nothing behind them");
  }
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  const port = url.port === "" ? (tls ? 443 : 80) : Number(url.port);
  if (port === 0) throw badProxy("port 0 cannot be dialled");
  if (url.username === "" && url.password === "") return { host, port, tls };
  const user = unescape(url.username);
  const password = unescape(url.password);
  // A colon would move into the password (RFC 7617 §2).
  if (user.includes(":")) throw badProxy("a user name cannot hold a colon");
  return { host, port, tls, credentials: { user, reveal: () => password } };
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

function unescape(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw badProxy("a percent sign in user or password is written %25");
  }
}

function badProxy(why: string): ConfigError {
  return new ConfigError("bad_address", `the HTTP proxy cannot be used: ${why}`);
}
