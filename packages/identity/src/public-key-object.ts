import { createPublicKey, type KeyObject } from "node:crypto";

/** The key object of a raw Ed25519 public key of 32 bytes. */
export function publicKeyObject(raw32: Uint8Array): KeyObject {
  return createPublicKey({
    key: Buffer.concat([ed25519SpkiHeader, raw32]),
    format: "der",
    type: "spki",
  });
}

/** SubjectPublicKeyInfo of Ed25519 up to the 32 bytes of the key (RFC 8410 §4). */
const ed25519SpkiHeader = Buffer.from("302a300506032b6570032100", "hex");
