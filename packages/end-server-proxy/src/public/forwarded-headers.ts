import type { IncomingMessage } from "node:http";
import { isOriginClaim } from "@culvert/wire";

/** What is known of where a request came from. */
export interface RequestOrigin {
  readonly clientAddress: string;
  readonly name: string;
  /** What the client spoke. */
  readonly scheme: "http" | "https";
  /** Whether the service is told so. */
  readonly tellsOrigin: boolean;
}

/**
 * The headers of a request for the local service: its own as they were, without what is between the client and us, and without
 * what a client might claim of its origin; then X-Forwarded-For, -Proto and -Host as they are, where they are told. Flat: name,
 * value, name, value.
 */
export function forwardedHeaders(req: IncomingMessage, origin: RequestOrigin): string[] {
  const own = passableHeaders(req.rawHeaders);
  const kept = own.filter((_, at) => !isOriginClaim(own[at - (at % 2)] ?? ""));
  if (!origin.tellsOrigin) return kept;
  return [
    ...kept,
    ...["X-Forwarded-For", origin.clientAddress],
    ...["X-Forwarded-Proto", origin.scheme],
    ...["X-Forwarded-Host", req.headers.host ?? origin.name],
  ];
}

/** Headers without those between two neighbours (RFC 9110 §7.6.1); the framing stays, which Node's own writer obeys. */
export function passableHeaders(raw: readonly string[]): string[] {
  return raw.filter((_, at) => !hopByHop.has(raw[at - (at % 2)]?.toLowerCase() ?? ""));
}

const hopByHop = new Set(["connection", "keep-alive", "proxy-connection", "upgrade"]);
