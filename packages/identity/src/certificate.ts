import { webcrypto } from "node:crypto";
import { encodeSignedKey, libp2pExtensionOid } from "./libp2p-extension.ts";
import type { Identity } from "./identity.ts";

/** A TLS certificate and its key, both PEM. The private key is secret, and worthless once the process has ended. */
export interface TlsCertificate {
  readonly certificatePem: string;
  readonly privateKeyPem: string;
}

/**
 * Makes a self-signed certificate with a fresh P-256 key that `identity` vouches for (github.com/libp2p/specs, tls/tls.md). One
 * certificate serves a process for its life. The first call loads the library, which takes about 0.1 s; a call then takes 4 ms.
 */
export async function createCertificate(
  identity: Identity,
  options: { readonly wallNowMs: number },
): Promise<TlsCertificate> {
  // Stays unloaded where no engine needs a certificate.
  const x509 = await import("./certificate-library.ts");
  const keys = await webcrypto.subtle.generateKey(keyAlgorithm, true, ["sign", "verify"]);
  const spkiDer = new Uint8Array(await webcrypto.subtle.exportKey("spki", keys.publicKey));
  const signedKey = encodeSignedKey(identity, spkiDer);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: "CN=culvert",
    notBefore: new Date(options.wallNowMs - backdatedMs),
    notAfter: new Date(options.wallNowMs + lifetimeMs),
    signingAlgorithm: { name: "ECDSA", hash: "SHA-256" },
    keys,
    extensions: [new x509.Extension(libp2pExtensionOid, false, signedKey)],
  });
  const pkcs8 = await webcrypto.subtle.exportKey("pkcs8", keys.privateKey);
  return {
    certificatePem: certificate.toString("pem"),
    privateKeyPem: x509.PemConverter.encode(pkcs8, "PRIVATE KEY"),
  };
}

const keyAlgorithm = { name: "ECDSA", namedCurve: "P-256" } as const;
const yearMs = 365 * 24 * 3_600_000;
/** The dates prove nothing, the signature does; boards without a battery-backed clock live in the past until they have asked NTP. */
const backdatedMs = 5 * yearMs;
/** Longer than any process lives. */
const lifetimeMs = 50 * yearMs;
