import { TransportError } from "@culvert/runtime";
import { verifyPeerCertificate, type PeerId } from "@culvert/identity";
import type { GuardedConnection } from "./guarded-connection.ts";
import { alpn } from "./transport-config.ts";

/**
 * Tells whose connection this is, once its handshake is done. BoringSSL has let any certificate pass, so this is the only check.
 * @throws TransportError `handshake_failed` saying what is wrong.
 */
export function provePeer(link: GuardedConnection, wallNowMs: number): PeerId {
  const protocol = link.protocol();
  if (protocol !== alpn) {
    throw new TransportError("handshake_failed", `the peer speaks "${protocol}", not ${alpn}`);
  }
  const [certificate, ...more] = link.peerCertificates();
  if (certificate === undefined || more.length > 0) {
    const count = certificate === undefined ? 0 : 1 + more.length;
    throw new TransportError("handshake_failed", `the peer sent ${count} certificates, not 1`);
  }
  return verifyPeerCertificate(certificate, wallNowMs);
}
