import { createPublicKey, type KeyObject } from "node:crypto";
import { base58 } from "@scure/base";
import type { PeerId } from "./peer-id.ts";

/** The Ed25519 public key that a peer id holds whole, for checking a signature of that peer. */
export function publicKeyOfPeerId(peer: PeerId): KeyObject {
  // The raw key is the end of the multihash; a PeerId has been checked to be one.
  const x = Buffer.from(base58.decode(peer).subarray(-rawKeyBytes)).toString("base64url");
  return createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
}

const rawKeyBytes = 32;
