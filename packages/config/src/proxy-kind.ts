import { isIPv6 } from "node:net";
import { canonicalIpv6 } from "@culvert/wire";
import { formatHostPort, type HostPort } from "./address-kinds.ts";
import type { Kind } from "./kind.ts";
import { Secret } from "./secret.ts";

/** How a session by WebSocket gets out: straight, through the HTTP proxy named, or as `https_proxy` and `no_proxy` say. */
export type ProxyChoice =
  { readonly kind: "environment" } | { readonly kind: "none" } | HttpProxyAddress;

/** An HTTP proxy that is asked to CONNECT. */
export interface HttpProxyAddress {
  readonly kind: "http";
  readonly address: HostPort;
  /** `user:password` for Basic authentication (RFC 7617), or undefined. */
  readonly credentials: Secret | undefined;
}

/** `auto`, `off` or the URL of an HTTP proxy. */
export const proxyChoiceKind: Kind<ProxyChoice> = {
  expected:
    "auto (https_proxy and no_proxy of the environment), off, or an HTTP proxy such as http://proxy.example.com:3128",
  parse(raw, place) {
    if (raw === "auto") return Object.freeze({ kind: "environment" });
    if (raw === "off" || raw === false) return Object.freeze({ kind: "none" });
    const proxy = typeof raw === "string" ? readHttpProxy(raw) : undefined;
    if (proxy !== undefined) return proxy;
    // The text may hold a password, so it is not shown.
    return typeof raw === "string"
      ? place.reject(`expected ${proxyChoiceKind.expected}, found something else (not shown)`)
      : place.fail(proxyChoiceKind.expected, raw);
  },
  print(value) {
    if (value.kind === "environment") return "auto";
    if (value.kind === "none") return "off";
    const who = value.credentials === undefined ? "" : `${value.credentials.toString()}@`;
    return `http://${who}${formatHostPort(value.address)}`;
  },
};

/** Reads the URL of an HTTP proxy, as `https_proxy` has it too; undefined where it is none. The port is 80 unless given. */
export function readHttpProxy(text: string): HttpProxyAddress | undefined {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return undefined;
  }
  const isBare = url.pathname === "/" && url.search === "" && url.hash === "";
  if (url.protocol !== "http:" || url.hostname === "" || !isBare) return undefined;
  const bracketed = /^\[(.*)\]$/.exec(url.hostname)?.[1];
  const host = bracketed === undefined ? url.hostname : (canonicalIpv6(bracketed) ?? "");
  const port = url.port === "" ? 80 : Number(url.port);
  if (host === "" || port === 0 || (bracketed !== undefined && !isIPv6(host))) return undefined;
  const credentials = readCredentials(url);
  if (credentials === null) return undefined;
  return Object.freeze({ kind: "http", address: { host, port }, credentials });
}

/** Undefined where the URL has none, null where they are malformed. */
function readCredentials({ username, password }: URL): Secret | undefined | null {
  if (username === "" && password === "") return undefined;
  try {
    const user = decodeURIComponent(username);
    const text = `${user}:${decodeURIComponent(password)}`;
    // eslint-disable-next-line no-control-regex -- control characters are what must not pass
    return user.includes(":") || /[\u0000-\u001f\u007f]/.test(text) ? null : new Secret(text);
  } catch {
    return null;
  }
}
