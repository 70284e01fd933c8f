import { canonicalIpv6, isIpv4 } from "../ip-address.ts";
import { publicNameProblem } from "../public-name.ts";

/** Whom a client asks for. */
export type Host =
  /** A host name in lower case, of letters, digits and hyphens, at most 253 characters, without the dot of the root. */
  { readonly kind: "name"; readonly name: string } | { readonly kind: "address" };

/** Reads a host without a port, as a server name of TLS bears it; undefined where it is neither a host name nor an address. */
export function hostOf(text: string): Host | undefined {
  if (text.length > maxTextLength) return undefined;
  if (isIpv4(text) || canonicalIpv6(text) !== undefined) return { kind: "address" };
  const name = (text.endsWith(".") ? text.slice(0, -1) : text).toLowerCase();
  return publicNameProblem(name, { wildcard: false }) === undefined
    ? { kind: "name", name }
    : undefined;
}

/**
 * Reads the value of a Host header field or an authority without user (RFC 9110 §7.2): a host, and a port that is not looked at
 * beyond its digits. Undefined where it is anything else.
 */
export function hostOfAuthority(text: string): Host | undefined {
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::\d{0,5})?$/.exec(text.slice(0, maxTextLength + 1));
  if (match === null || text.length > maxTextLength) return undefined;
  const [, bracketed, plain] = match;
  if (bracketed === undefined) return hostOf(plain ?? "");
  return canonicalIpv6(bracketed) === undefined ? undefined : { kind: "address" };
}

/** The longest host name, the dot of the root, a colon and a port. */
const maxTextLength = 253 + 1 + 6;
