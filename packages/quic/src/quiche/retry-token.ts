import { createHmac, timingSafeEqual } from "node:crypto";
import { isIPv6 } from "node:net";
import type { UdpAddress } from "../engine.ts";

/** What a Retry token vouches for (RFC 9000 §8.1.2). */
export interface RetryClaim {
  /** The address that asked. */
  readonly from: UdpAddress;
  /** The connection id the client chose first. */
  readonly originalDcid: Uint8Array;
  /** The connection id we chose in the Retry, which the client must use from then on. */
  readonly retryScid: Uint8Array;
}

/**
 * Makes and checks Retry tokens, keeping nothing between the two. A token holds its expiry and the original connection id; the
 * address, the port and the new connection id are not in it but are signed with it (HMAC-SHA256), so it serves nobody else.
 */
export class RetryTokens {
  readonly #key: Uint8Array;
  readonly #lifetimeMs: number;

  /** `key` is secret and lives as long as the process. */
  constructor(key: Uint8Array, lifetimeMs = defaultLifetimeMs) {
    this.#key = key;
    this.#lifetimeMs = lifetimeMs;
  }

  /** A token that is good until `nowMs` plus its lifetime; `nowMs` is monotonic. */
  mint(claim: RetryClaim, nowMs: number): Buffer {
    const head = Buffer.alloc(headBytes);
    head.writeUIntBE(Math.ceil(nowMs) + this.#lifetimeMs, 0, headBytes);
    const signed = Buffer.concat([head, claim.originalDcid]);
    return Buffer.concat([this.#sign(signed, claim), signed]);
  }

  /** The original connection id of a good token; undefined if it is forged, not this sender's or too old. */
  check(token: Buffer, claim: Omit<RetryClaim, "originalDcid">, nowMs: number): Buffer | undefined {
    const originalDcid = token.subarray(macBytes + headBytes);
    if (originalDcid.length < minOriginalBytes || originalDcid.length > maxOriginalBytes) {
      return undefined;
    }
    const signed = token.subarray(macBytes);
    if (!timingSafeEqual(token.subarray(0, macBytes), this.#sign(signed, claim))) return undefined;
    return nowMs > signed.readUIntBE(0, headBytes) ? undefined : originalDcid;
  }

  #sign(signed: Uint8Array, { from, retryScid }: Omit<RetryClaim, "originalDcid">): Buffer {
    // Every part before the address has one length or comes last, so no two claims sign the same bytes.
    const place = Buffer.alloc(3);
    place.writeUInt8(isIPv6(from.host) ? 6 : 4, 0);
    place.writeUInt16BE(from.port, 1);
    return createHmac("sha256", this.#key)
      .update(Buffer.from([retryScid.length, signed.length]))
      .update(retryScid)
      .update(signed)
      .update(place)
      .update(from.host)
      .digest();
  }
}

/** A round trip, a lost datagram and a slow client fit in. */
const defaultLifetimeMs = 10_000;
const macBytes = 32;
/** Expiry in monotonic milliseconds. */
const headBytes = 6;
/** Lengths a client may choose for its first destination connection id (RFC 9000 §7.2). */
const minOriginalBytes = 8;
const maxOriginalBytes = 20;
