import type { KeyObject } from "node:crypto";
import type { Identity } from "@culvert/identity";
import { SignJWT } from "jose";
import type { TelebitScope } from "./telebit-scope.ts";

/** What to write into a token. */
export interface TokenRequest {
  readonly scope: TelebitScope;
  /** When it is made, milliseconds since 1970. */
  readonly nowMs: number;
  /** When it ends, milliseconds since 1970; undefined = never. */
  readonly expiresAtMs: number | undefined;
  /** `aud`: the relay's address, for people; EdDSA tokens must say the relay's peer id. */
  readonly audience: string | undefined;
}

/** Makes an HS256 token such as Telebit relays take, with the secret that relay and operator share. */
export function mintToken(secret: KeyObject, request: TokenRequest): Promise<string> {
  return builder(request, "HS256").sign(secret);
}

/** Makes a token signed by a peer's own key, for a relay that grants this peer what is in it. */
export function mintPeerToken(
  identity: Identity,
  request: TokenRequest & { readonly expiresAtMs: number; readonly audience: string },
): Promise<string> {
  return builder(request, "EdDSA").setIssuer(identity.peerId).sign(identity.privateKey);
}

function builder(
  { scope, nowMs, expiresAtMs, audience }: TokenRequest,
  algorithm: "HS256" | "EdDSA",
): SignJWT {
  const jwt = new SignJWT({ domains: [...scope.domains], ports: [...scope.ports] })
    .setProtectedHeader({ alg: algorithm, typ: "JWT" })
    .setIssuedAt(seconds(nowMs));
  if (expiresAtMs !== undefined) jwt.setExpirationTime(seconds(expiresAtMs));
  if (audience !== undefined) jwt.setAudience(audience);
  return jwt;
}

function seconds(ms: number): number {
  return Math.floor(ms / 1_000);
}
