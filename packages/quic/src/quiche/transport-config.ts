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
  congestionControl: CongestionControl,
): Config {
  const key = [Buffer.from(certificate.privateKeyPem)];
  const chain = [Buffer.from(certificate.certificatePem)];
  const config = binding.Config.withBoringSslCtx(true, true, null, key, chain, null);
  config.setApplicationProtos([alpn]);
  config.setMaxIdleTimeout(settings.idleTimeout);
  // What we send is our own affair; what we can receive does not depend on it.
  config.setMaxSendUdpPayloadSize(settings.datagramBytes);
  config.setMaxRecvUdpPayloadSize(largestDatagramBytes);
  // quiche 0.18 never gives back the connection's window for what was received and not read before a stream was reset or
  // stopped, and renews it only while less than half of it is unread: a stalled stream would end in a stalled connection. So the
  // connection's window is left open, and what it should bound is shared out among the streams instead.
  config.setInitialMaxData(Number.MAX_SAFE_INTEGER);
  const share = Math.ceil(settings.connectionWindowBytes / initialShares);
  const first = Math.min(settings.streamWindowBytes, share, maxInitialWindowBytes);
  config.setInitialMaxStreamDataBidiLocal(first);
  config.setInitialMaxStreamDataBidiRemote(first);
  config.setMaxStreamWindow(largestStreamWindow(settings));
  config.setInitialMaxStreamsBidi(settings.maxStreams);
  config.setInitialMaxStreamsUni(0);
  config.setActiveConnectionIdLimit(maxPaths);
  // Paced packets would need a timer each; the kernel's buffers take a window's burst.
  config.enablePacing(false);
  config.setCcAlgorithmName(congestionControl);
  if (congestionControl === "cubic") config.enableHystart(true);
  return config;
}

/** Congestion control by quiche's name for it: RFC 9438, or draft-cardwell-iccrg-bbr-congestion-control. */
export type CongestionControl = "cubic" | "bbr";

/**
 * The congestion control that suits connections with these settings; `largeBuffers` says that the kernel gave UDP sockets the buffers
 * that were asked for.
 *
 * quiche 0.18 dates packets by its pacer, whether it paces or not, and by CUBIC or Reno moves that date only after ten packets' time at
 * the rate of the window. With a window below eight, which losses bring about, that is more than a round trip: measured round trips
 * grow, with them the ten packets' time, and so on to minutes. BBR sets the pacer's rate and burst by what arrives, but keeps less under
 * way: where nothing is lost, CUBIC carries a quarter more. So it is for one machine whose buffers hold a whole window.
 */
export function congestionControlFor(
  settings: QuicSettings,
  largeBuffers: boolean,
): CongestionControl {
  return staysOnMachine(settings) && largeBuffers ? "cubic" : "bbr";
}

/** The most that one stream's window grows to, bytes: while its reader keeps pace, and it stays when the reader stops. */
export function largestStreamWindow(settings: QuicSettings): number {
  return Math.min(
    settings.streamWindowBytes,
    Math.ceil(settings.connectionWindowBytes / maxShares),
  );
}

/**
 * The congestion window is not let grow beyond this, bytes. Between two processes of one machine a larger one only overflows the
 * socket's buffer and delays what comes after; elsewhere it is what a peer can make us send by acknowledging what it never got.
 */
export function largestCongestionWindow(settings: QuicSettings): number {
  return staysOnMachine(settings)
    ? Math.ceil(settings.socketBufferBytes / 2)
    : settings.streamWindowBytes;
}

/** Whether the settings are for two processes of one machine, where datagrams are lost only to full buffers. */
export function staysOnMachine(settings: QuicSettings): boolean {
  return settings.datagramBytes > largestFrameBytes;
}

/** Ethernet carries no more, not even in jumbo frames. */
const largestFrameBytes = 9216;
/** How many streams that nobody reads fit the connection's window when they are new. */
const initialShares = 16;
/** How many fit it whose windows have grown to the full, as they do while a reader keeps pace. */
const maxShares = 4;
/** Beyond this a window has to be earned by a reader that keeps pace, however large it may become. */
const maxInitialWindowBytes = 2 * 1024 * 1024;
