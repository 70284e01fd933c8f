import { verify, X509Certificate } from "node:crypto";
import { errorText, TransportError } from "@culvert/runtime";
import { derContent, derElements, DerTag, type DerElement } from "./der.ts";
import { decodeSignedKey, libp2pExtensionOidDer, signedMessage } from "./libp2p-extension.ts";
import { peerIdOfPublicKey, type PeerId } from "./peer-id.ts";
import { publicKeyFromProtobuf } from "./protobuf.ts";
import { publicKeyObject } from "./public-key-object.ts";

/**
 * Proves whose certificate this is: it is valid now (give or take `clockSkewMs`), signs itself, and carries a libp2p
 * extension in which an Ed25519 host key vouches for the certificate's key (github.com/libp2p/specs, tls/tls.md). `der` is the
 * one certificate the peer sent, untrusted. Takes about 0.5 ms.
 * @throws TransportError `handshake_failed` saying what is wrong, and nothing else, whatever the bytes.
 */
export function verifyPeerCertificate(der: Uint8Array, wallNowMs: number): PeerId {
  try {
    return verifyOrThrow(der, wallNowMs);
  } catch (error) {
    throw new TransportError("handshake_failed", `the peer's certificate: ${errorText(error)}`, {
      data: { certificateBytes: der.length },
      cause: error,
    });
  }
}

/** How far the clocks of two peers may be apart at the edges of a certificate's validity. */
export const clockSkewMs = 10 * 60_000;

function verifyOrThrow(der: Uint8Array, wallNowMs: number): PeerId {
  if (der.length > maxCertificateBytes) {
    throw new RangeError(`${der.length} bytes, more than ${maxCertificateBytes}`);
  }
  const { spkiDer, signedKeyDer } = parse(der);
  const certificate = new X509Certificate(der);
  checkDates(certificate, wallNowMs);
  if (!certificate.verify(certificate.publicKey)) {
    throw new Error("its self-signature is wrong");
  }
  const { publicKeyProtobuf, signature } = decodeSignedKey(signedKeyDer);
  const hostKey = publicKeyFromProtobuf(publicKeyProtobuf);
  if (hostKey === undefined) throw new Error("its host key is not an Ed25519 key");
  if (!verify(null, signedMessage(spkiDer), publicKeyObject(hostKey), signature)) {
    throw new Error("its host key did not sign it");
  }
  return peerIdOfPublicKey(hostKey);
}

function checkDates(certificate: X509Certificate, wallNowMs: number): void {
  const from = Date.parse(certificate.validFrom);
  const to = Date.parse(certificate.validTo);
  // Written so that a date that does not parse (NaN) fails too.
  if (!(wallNowMs >= from - clockSkewMs)) {
    throw new Error(`not valid before ${certificate.validFrom}; do the clocks agree?`);
  }
  if (!(wallNowMs <= to + clockSkewMs)) {
    throw new Error(`not valid after ${certificate.validTo}; do the clocks agree?`);
  }
}

/** The two parts of a certificate (RFC 5280 §4.1) whose very bytes count, as views on it. */
interface CertificateParts {
  readonly spkiDer: Uint8Array;
  readonly signedKeyDer: Uint8Array;
}

/** Walks the structure that `X509Certificate` hides. The strings, names and numbers on the way are left to that. */
function parse(der: Uint8Array): CertificateParts {
  const [tbs] = derElements(derContent(der, DerTag.sequence));
  if (tbs?.tag !== DerTag.sequence) throw new RangeError("no TBSCertificate");
  const fields = derElements(tbs.content);
  // version [0], serial, algorithm, issuer, validity, subject, key, then only extensions [3]: the unique ids [1] and [2] are
  // refused, as the libp2p specification allows.
  if (fields[0]?.tag !== DerTag.explicit(0)) throw new RangeError("not a version 3 certificate");
  const spki = fields[6];
  const extensions = fields[7];
  if (
    spki?.tag !== DerTag.sequence ||
    extensions?.tag !== DerTag.explicit(3) ||
    fields.length > 8
  ) {
    throw new RangeError("no extensions, or fields it should not have");
  }
  const list = derElements(derContent(extensions.content, DerTag.sequence));
  return { spkiDer: spki.bytes, signedKeyDer: signedKeyOf(list) };
}

function signedKeyOf(extensions: readonly DerElement[]): Uint8Array {
  let found: Uint8Array | undefined;
  for (const extension of extensions) {
    if (extension.tag !== DerTag.sequence) throw new RangeError("a malformed extension");
    const [oid, ...rest] = derElements(extension.content);
    const value = rest.pop();
    const criticalField = rest.pop();
    if (
      oid?.tag !== DerTag.objectIdentifier ||
      value?.tag !== DerTag.octetString ||
      rest.length > 0 ||
      (criticalField !== undefined && criticalField.tag !== DerTag.boolean)
    ) {
      throw new RangeError("a malformed extension");
    }
    if (!sameBytes(oid.content, libp2pExtensionOidDer)) {
      if (criticalField?.content[0] !== undefined && criticalField.content[0] !== 0) {
        throw new Error("a critical extension that is not known here");
      }
      continue;
    }
    if (found !== undefined) throw new Error("the libp2p extension twice");
    found = value.content;
  }
  if (found === undefined) throw new Error("no libp2p extension");
  return found;
}

function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && left.every((byte, index) => byte === right[index]);
}

/** Far above what any key type needs: an RSA-4096 certificate has about 1,400 bytes. */
const maxCertificateBytes = 4096;
