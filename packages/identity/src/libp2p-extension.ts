import { sign } from "node:crypto";
import type { Identity } from "./identity.ts";
import { derContent, derElements, DerTag } from "./der.ts";
import { privateKeyToProtobuf } from "./private-key-protobuf.ts";
import { publicKeyToProtobuf } from "./protobuf.ts";

/** The extension that carries the host key and its signature (github.com/libp2p/specs, tls/tls.md). */
export const libp2pExtensionOid = "1.3.6.1.4.1.53594.1.1";
/** {@link libp2pExtensionOid} as the content of a DER object identifier. */
export const libp2pExtensionOidDer = Uint8Array.of(0x2b, 6, 1, 4, 1, 0x83, 0xa2, 0x5a, 1, 1);

/** What the extension holds: views on the bytes it was decoded from. */
export interface SignedKey {
  /** The host's public key as libp2p protobuf. */
  readonly publicKeyProtobuf: Uint8Array;
  readonly signature: Uint8Array;
}

/** What a host key signs to vouch for the key of a certificate. */
export function signedMessage(spkiDer: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from("libp2p-tls-handshake:"), spkiDer]);
}

/** The value of the extension: `SignedKey` with the identity's signature over the certificate's key. */
export function encodeSignedKey(identity: Identity, spkiDer: Uint8Array): Uint8Array {
  const publicKey = publicKeyToProtobuf(privateKeyToProtobuf(identity).subarray(-32));
  const signature = sign(null, signedMessage(spkiDer), identity.privateKey);
  const body = [octetString(publicKey), octetString(signature)];
  const length = body.reduce((sum, part) => sum + part.length, 0);
  return Buffer.concat([Uint8Array.of(DerTag.sequence, length), ...body]);
}

/**
 * Decodes the value of the extension.
 * @throws RangeError if it is anything but a `SignedKey`, to the byte.
 */
export function decodeSignedKey(value: Uint8Array): SignedKey {
  const [publicKey, signature, ...rest] = derElements(derContent(value, DerTag.sequence));
  if (
    publicKey?.tag !== DerTag.octetString ||
    signature?.tag !== DerTag.octetString ||
    rest.length > 0
  ) {
    throw new RangeError("not a SignedKey of two octet strings");
  }
  return { publicKeyProtobuf: publicKey.content, signature: signature.content };
}

/** Lengths here are below 128, so they take one byte. */
function octetString(content: Uint8Array): Uint8Array {
  return Buffer.concat([Uint8Array.of(DerTag.octetString, content.length), content]);
}
