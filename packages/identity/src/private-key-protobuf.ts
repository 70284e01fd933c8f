import type { Identity } from "./identity.ts";

/**
 * The libp2p protobuf form of an identity's private key: key type 1, then 64 bytes, private key before public key. Secret: the
 * caller must neither log nor keep it.
 */
export function privateKeyToProtobuf(identity: Identity): Uint8Array {
  const { d, x } = identity.privateKey.export({ format: "jwk" });
  return Uint8Array.of(
    ...privateKeyHeader,
    ...Buffer.from(d ?? "", "base64url"),
    ...Buffer.from(x ?? "", "base64url"),
  );
}

// Field 1 (key type), varint: 1 = Ed25519; field 2 (data), length.
const privateKeyHeader = [0x08, 0x01, 0x12, 0x40];
