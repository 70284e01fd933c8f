import { coversPublicName, parsePublicName } from "@culvert/wire";

/** What one token lets a device stand for. */
export interface TelebitScope {
  /** Public names in lower case, each once; `*.` and one for all below it. */
  readonly domains: readonly string[];
  /** TCP ports of the relay, each once. */
  readonly ports: readonly number[];
}

/** TCP ports from `first` to `last`, both included. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** What may be in a token at all; anything else in it is refused, whoever signed it. */
export interface TelebitPolicy {
  /** Public names; `*.` and one for all below it. */
  readonly domains: readonly string[];
  readonly ports: readonly PortRange[];
}

/** The error object a device is answered with. */
export interface TelebitFault {
  /** One line for people. Never shows a token. */
  readonly message: string;
  readonly code: TelebitFaultCode;
}

/** Every code that {@link TelebitFault} may have (PROTOCOL.md §13.2). */
export type TelebitFaultCode =
  | "E_INVALID_NAME"
  | "E_INVALID_PORT"
  | "E_INVALID_TOKEN"
  | "E_LIMIT"
  | "E_PORT_TAKEN"
  | "E_TIMEOUT"
  | "E_UNKNOWN_COMMAND";

/** A scope, or why there is none. */
export type ScopeVerdict =
  | { readonly kind: "scope"; readonly scope: TelebitScope }
  | { readonly kind: "refused"; readonly fault: TelebitFault };

/**
 * Reads the claims `domains` and `ports` of a token whose signature is known to be good. Ports may be numbers or digits, as the
 * real programs write both. All of it is within the policy, or all is refused.
 */
export function readScope(
  claims: Readonly<Record<string, unknown>>,
  policy: TelebitPolicy,
): ScopeVerdict {
  const domains = listClaim(claims["domains"], mostDomains);
  const ports = listClaim(claims["ports"], mostPorts);
  if (domains === undefined) {
    return refuse("E_INVALID_NAME", `domains must be a list of at most ${mostDomains} names`);
  }
  if (ports === undefined) {
    return refuse("E_INVALID_PORT", `ports must be a list of at most ${mostPorts} port numbers`);
  }
  const scope = { domains: new Set<string>(), ports: new Set<number>() };
  for (const claimed of domains) {
    const name = readName(claimed);
    if (name === undefined) return refuse("E_INVALID_NAME", "one of its domains is no host name");
    if (!policy.domains.some((granted) => coversPublicName(granted, name))) {
      return refuse(
        "E_INVALID_NAME",
        `${name} is not a name this relay gives to the token's issuer`,
      );
    }
    scope.domains.add(name);
  }
  for (const claimed of ports) {
    const port = readPort(claimed);
    if (port === undefined) return refuse("E_INVALID_PORT", "one of its ports is no port number");
    if (!policy.ports.some(({ first, last }) => first <= port && port <= last)) {
      return refuse(
        "E_INVALID_PORT",
        `${port} is not a port this relay gives to the token's issuer`,
      );
    }
    scope.ports.add(port);
  }
  if (scope.domains.size + scope.ports.size === 0) {
    return refuse("E_INVALID_TOKEN", "the token names neither domains nor ports");
  }
  return { kind: "scope", scope: { domains: [...scope.domains], ports: [...scope.ports] } };
}

function listClaim(claim: unknown, most: number): readonly unknown[] | undefined {
  if (claim === undefined || claim === null) return [];
  return Array.isArray(claim) && claim.length <= most ? claim : undefined;
}

function readName(claimed: unknown): string | undefined {
  if (typeof claimed !== "string") return undefined;
  try {
    return parsePublicName(claimed);
  } catch {
    return undefined;
  }
}

function readPort(claimed: unknown): number | undefined {
  const text = typeof claimed === "number" ? String(claimed) : claimed;
  if (typeof text !== "string" || !/^[0-9]{1,5}$/.test(text)) return undefined;
  const port = Number(text);
  return port >= 1 && port <= 65_535 ? port : undefined;
}

function refuse(code: TelebitFaultCode, message: string): ScopeVerdict {
  return { kind: "refused", fault: { message, code } };
}

/** Names in one token. */
const mostDomains = 100;
/** Ports in one token: each is a listener. */
const mostPorts = 32;
