import type { KeyObject } from "node:crypto";

/** A libp2p peer id of an Ed25519 key in its base58 form, `12D3KooW…` (52 characters). Made by {@link parsePeerId} or from a key. */
export type PeerId = string & { readonly __peerId: never };

/** The key of one process and the name that follows from it. */
export interface Identity {
  readonly peerId: PeerId;
  /** The Ed25519 private key; never logged. */
  readonly privateKey: KeyObject;
}
