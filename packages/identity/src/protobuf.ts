import { ConfigError } from "@culvert/runtime";

/** Length of the protobuf form of an Ed25519 public key. */
export const publicKeyProtobufBytes = 36;

/**
 * The libp2p protobuf form of a raw Ed25519 public key: key type 1, 32 bytes (github.com/libp2p/specs, peer-ids/peer-ids.md).
 * @throws ConfigError `bad_key` if `raw32` is not 32 bytes long.
 */
export function publicKeyToProtobuf(raw32: Uint8Array): Uint8Array {
  if (raw32.length !== 32) {
    throw new ConfigError("bad_key", `an Ed25519 public key has 32 bytes, not ${raw32.length}`);
  }
  return Uint8Array.of(...publicKeyHeader, ...raw32);
}

/**
 * The raw Ed25519 public key in a libp2p protobuf, or undefined if it holds another kind of key or is not in the one
 * deterministic encoding that the specification demands. A view on `bytes`.
 */
export function publicKeyFromProtobuf(bytes: Uint8Array): Uint8Array | undefined {
  if (bytes.length !== publicKeyProtobufBytes) return undefined;
  if (!publicKeyHeader.every((byte, index) => bytes[index] === byte)) return undefined;
  return bytes.subarray(publicKeyHeader.length);
}

// Field 1 (key type), varint: 1 = Ed25519; field 2 (data), length.
const publicKeyHeader = [0x08, 0x01, 0x12, 0x20];
