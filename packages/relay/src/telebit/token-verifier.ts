import type { KeyObject } from "node:crypto";
import { parsePeerId, publicKeyOfPeerId, type PeerId } from "@culvert/identity";
import type { Clock } from "@culvert/runtime";
import { decodeJwt, decodeProtectedHeader, errors, jwtVerify, type JWTPayload } from "jose";
import {
  readScope,
  type TelebitFault,
  type TelebitPolicy,
  type TelebitScope,
} from "./telebit-scope.ts";

/** Whose tokens are taken, and what may be in them. */
export interface TokenTrust {
  /** Key of HS256 tokens: who has it can make tokens for all of {@link policy}. Undefined = none are taken. */
  readonly secret: KeyObject | undefined;
  /** What HS256 tokens may hold. */
  readonly policy: TelebitPolicy;
  /** What a peer may write into EdDSA tokens signed with its own key; undefined = it may make none. */
  readonly policyOfPeer: (peer: PeerId) => TelebitPolicy | undefined;
  /** Whom EdDSA tokens must be made out to (`aud`), so that none is good at another relay: this relay's peer id. */
  readonly audience: string;
}

/** What a token is worth. */
export type TokenVerdict =
  | {
      readonly kind: "good";
      readonly scope: TelebitScope;
      /** When it ends, milliseconds since 1970; undefined = never. */
      readonly expiresAtMs: number | undefined;
      /** Who signed it: `secret`, or the peer. */
      readonly issuer: "secret" | PeerId;
    }
  | { readonly kind: "refused"; readonly fault: TelebitFault };

/**
 * Judges JWTs (RFC 7519, PROTOCOL.md §13.3): HS256 with the relay's secret as Telebit has it, and EdDSA with the key of a peer. The key follows from
 * the algorithm and never from what the token says of keys, so neither can be passed off as the other. Never throws.
 */
export class TokenVerifier {
  readonly #clock: Pick<Clock, "wallNowMs">;
  readonly #trust: TokenTrust;

  constructor(clock: Pick<Clock, "wallNowMs">, trust: TokenTrust) {
    this.#clock = clock;
    this.#trust = trust;
  }

  /** Judges one token in its compact form. */
  async verify(token: unknown): Promise<TokenVerdict> {
    if (typeof token !== "string") return refuse("a token is a text");
    if (token.length > maxTokenLength)
      return refuse(`a token has at most ${maxTokenLength} characters`);
    const algorithm = algorithmOf(token);
    try {
      if (algorithm === "HS256") return await this.#verifyShared(token);
      if (algorithm === "EdDSA") return await this.#verifyOfPeer(token);
    } catch (error) {
      return refuse(describe(error));
    }
    return refuse("only JWTs signed by HS256 or EdDSA are taken");
  }

  async #verifyShared(token: string): Promise<TokenVerdict> {
    const { secret, policy } = this.#trust;
    if (secret === undefined) return refuse("this relay has no secret to check HS256 tokens with");
    const currentDate = this.#date();
    const { payload } = await jwtVerify(token, secret, { algorithms: ["HS256"], currentDate });
    return judge(payload, policy, "secret");
  }

  async #verifyOfPeer(token: string): Promise<TokenVerdict> {
    const issuer = readPeerId(decodeJwt(token)["iss"]);
    if (issuer === undefined) return refuse("the issuer of an EdDSA token is a peer id");
    const policy = this.#trust.policyOfPeer(issuer);
    if (policy === undefined) return refuse("this relay takes no tokens of that issuer");
    const { payload } = await jwtVerify(token, publicKeyOfPeerId(issuer), {
      algorithms: ["EdDSA"],
      audience: this.#trust.audience,
      requiredClaims: ["exp", "iat"],
      maxTokenAge: maxPeerTokenAgeSeconds,
      clockTolerance: clockToleranceSeconds,
      currentDate: this.#date(),
    });
    return judge(payload, policy, issuer);
  }

  #date(): Date {
    return new Date(this.#clock.wallNowMs());
  }
}

function judge(
  payload: JWTPayload,
  policy: TelebitPolicy,
  issuer: "secret" | PeerId,
): TokenVerdict {
  const verdict = readScope(payload, policy);
  if (verdict.kind === "refused") return verdict;
  const expiresAtMs = payload.exp === undefined ? undefined : payload.exp * 1_000;
  return { kind: "good", scope: verdict.scope, expiresAtMs, issuer };
}

function algorithmOf(token: string): string | undefined {
  try {
    return decodeProtectedHeader(token).alg;
  } catch {
    return undefined;
  }
}

function readPeerId(issuer: unknown): PeerId | undefined {
  if (typeof issuer !== "string") return undefined;
  try {
    return parsePeerId(issuer);
  } catch {
    return undefined;
  }
}

/** Says what is wrong in words that hold nothing of the token. */
function describe(error: unknown): string {
  if (error instanceof errors.JWTExpired) return "the token has expired";
  if (error instanceof errors.JWSSignatureVerificationFailed) {
    return "the token was signed with another key";
  }
  if (error instanceof errors.JWTClaimValidationFailed) {
    return `the token's claim ${error.claim} is missing or wrong`;
  }
  return "the token is malformed";
}

function refuse(message: string): TokenVerdict {
  return { kind: "refused", fault: { message, code: "E_INVALID_TOKEN" } };
}

/** A hundred names of full length would not fit, but no real token comes near this; what is longer is not even decoded. */
const maxTokenLength = 16 * 1024;
/** A peer makes its tokens when it needs them. */
const maxPeerTokenAgeSeconds = 24 * 60 * 60;
const clockToleranceSeconds = 60;
