import { createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { ConfigError } from "@culvert/runtime";
import { peerIdOfPublicKey, type PeerId } from "./peer-id.ts";

/** The key of one process and the name that follows from it. */
export interface Identity {
  readonly peerId: PeerId;
  /** The Ed25519 private key; never logged. */
  readonly privateKey: KeyObject;
}

/** Makes a fresh key. */
export function generateIdentity(): Identity {
  return identityOfPrivateKey(generateKeyPairSync("ed25519").privateKey);
}

/**
 * The identity of an existing private key.
 * @throws ConfigError `bad_key` if it is not an Ed25519 private key.
 */
export function identityOfPrivateKey(privateKey: KeyObject): Identity {
  if (privateKey.type !== "private" || privateKey.asymmetricKeyType !== "ed25519") {
    const kind = `${privateKey.asymmetricKeyType ?? "unknown"} ${privateKey.type} key`;
    throw new ConfigError("bad_key", `an Ed25519 private key is needed, not this ${kind}`);
  }
  const { x } = createPublicKey(privateKey).export({ format: "jwk" });
  return { privateKey, peerId: peerIdOfPublicKey(Buffer.from(x ?? "", "base64url")) };
}
