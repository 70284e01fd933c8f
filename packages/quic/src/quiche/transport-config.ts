import type { Config } from "@matrixai/quic/native/types.js";
import type { TlsCertificate } from "@culvert/identity";
import type { QuicSettings } from "../settings.ts";
import { largestDatagramBytes } from "../settings.ts";
import type { QuicheBinding } from "./binding.ts";
import { maxPaths } from "./peer-paths.ts";

/** ALPN of every Culvert connection (github.com/libp2p/specs, tls/tls.md). */
export const alpn = "libp2p";

/**
 * TLS and transport parameters for connections of one identity; one value serves many connections.
 *
 * BoringSSL asks for the peer's certificate and accepts any: who the peer is, is decided before any of its streams is looked at.
 */
export function createTransportConfig(
  binding: QuicheBinding,
  certificate: TlsCertificate,
  settings: QuicSettings,
): Config {
  const key = [Buffer.from(certificate.privateKeyPem)];
  const chain = [Buffer.from(certificate.certificatePem)];
  const config = binding.Config.withBoringSslCtx(true, true, null, key, chain, null);
  config.setApplicationProtos([alpn]);
  config.setMaxIdleTimeout(settings.idleTimeout);
  // What we send is our own affair; what we can receive does not depend on it.
  config.setMaxSendUdpPayloadSize(settings.datagramBytes);
  config.setMaxRecvUdpPayloadSize(largestDatagramBytes);
  const streamWindow = Math.min(initialStreamWindowBytes, settings.streamWindowBytes);
  config.setInitialMaxData(settings.connectionWindowBytes);
  config.setInitialMaxStreamDataBidiLocal(streamWindow);
  config.setInitialMaxStreamDataBidiRemote(streamWindow);
  config.setInitialMaxStreamsBidi(settings.maxStreams);
  config.setInitialMaxStreamsUni(0);
  config.setMaxStreamWindow(settings.streamWindowBytes);
  config.setMaxConnectionWindow(settings.connectionWindowBytes);
  config.setActiveConnectionIdLimit(maxPaths);
  config.setCcAlgorithmName("cubic");
  config.enableHystart(true);
  // Paced packets would need a timer each; the kernel's buffers take a window's burst.
  config.enablePacing(false);
  return config;
}

/** Where a stream's receive window starts; it doubles up to its limit while its reader keeps pace. */
const initialStreamWindowBytes = 1024 * 1024;
