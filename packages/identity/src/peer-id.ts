import { base58 } from "@scure/base";
import { ConfigError } from "@culvert/runtime";
import { publicKeyFromProtobuf, publicKeyProtobufBytes, publicKeyToProtobuf } from "./protobuf.ts";

/** A libp2p peer id of an Ed25519 key in its base58 form, `12D3KooW…` (52 characters). Made by {@link parsePeerId} or from a key. */
export type PeerId = string & { readonly __peerId: never };

/**
 * Parses a peer id of an Ed25519 key in base58 (`12D3KooW…`), the form people write in configuration files.
 * @throws ConfigError `bad_key` showing the text and what is wrong with it.
 */
export function parsePeerId(text: string): PeerId {
  const bad = (why: string): ConfigError => {
    const shown = text.length > shownCharacters ? `${text.slice(0, shownCharacters)}…` : text;
    return new ConfigError("bad_key", `${JSON.stringify(shown)} is not a peer id: ${why}`, {
      data: { text: shown },
    });
  };
  if (text.length > maxPeerIdCharacters) {
    throw bad(`it has ${text.length} characters, more than any peer id`);
  }
  let bytes: Uint8Array;
  try {
    bytes = base58.decode(text);
  } catch {
    throw bad("it holds a character that base58 does not have; it should look like 12D3KooW…");
  }
  if (
    bytes.length !== identityMultihash.length + publicKeyProtobufBytes ||
    !identityMultihash.every((byte, index) => bytes[index] === byte)
  ) {
    throw bad("it does not name an Ed25519 key; it should be 52 characters starting with 12D3KooW");
  }
  if (publicKeyFromProtobuf(bytes.subarray(identityMultihash.length)) === undefined) {
    throw bad("the key in it is not an Ed25519 key");
  }
  return text as PeerId;
}

/**
 * The peer id of a raw Ed25519 public key of 32 bytes: base58 of the identity multihash of its protobuf
 * (github.com/libp2p/specs, peer-ids/peer-ids.md).
 * @throws ConfigError `bad_key` for any other length.
 */
export function peerIdOfPublicKey(raw32: Uint8Array): PeerId {
  return base58.encode(
    Uint8Array.of(...identityMultihash, ...publicKeyToProtobuf(raw32)),
  ) as PeerId;
}

/** Multihash code 0x00 (identity) and the length of what follows: the 36 bytes of an Ed25519 public key protobuf. */
const identityMultihash = [0x00, 0x24];
/** Bounds the work of the quadratic base58 decoder; an RSA peer id, the longest in use, has 52 characters too. */
const maxPeerIdCharacters = 128;
const shownCharacters = 80;
