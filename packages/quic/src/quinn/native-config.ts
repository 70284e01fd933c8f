import { privateKeyToProtobuf, type Identity } from "@culvert/identity";
import type { QuicSettings } from "../settings.ts";
import type { NativeConfig, QuinnAddon } from "./addon.ts";

/** Builds quinn's configuration: identity, windows and time-outs. Makes a fresh certificate. */
export function createNativeConfig(
  addon: QuinnAddon,
  identity: Identity,
  settings: QuicSettings,
): NativeConfig {
  return new addon.QuinnConfig({
    privateKeyProto: privateKeyToProtobuf(identity),
    handshakeTimeout: u32(settings.handshakeTimeout),
    shutdownTimeout: shutdownTimeoutMs,
    maxIdleTimeout: u32(settings.idleTimeout),
    keepAliveInterval: u32(settings.keepAlive),
    maxConcurrentStreamLimit: maxStreams(settings),
    maxStreamData: streamWindowBytes(settings),
    maxConnectionData: u32(settings.connectionWindowBytes),
    receiveBufferSize: socketBufferBytes(settings),
    sendBufferSize: socketBufferBytes(settings),
  });
}

/**
 * The window of one stream. quinn's windows neither grow nor shrink, so a stream gets at most a sixteenth of its connection's:
 * fifteen stalled streams leave room for the others.
 */
export function streamWindowBytes(settings: QuicSettings): number {
  return u32(Math.min(settings.streamWindowBytes, settings.connectionWindowBytes / 16));
}

/**
 * Streams a peer may have open. quinn makes room for all of them when the first datagram of a handshake arrives, from whomever:
 * 384 KiB for 4,096, and 1.4 MiB for 16,384. So there is a ceiling, above the 2,000 connections that one client is meant to
 * carry.
 */
export function maxStreams(settings: QuicSettings): number {
  return Math.min(u32(settings.maxStreams), mostStreams);
}

/** What quinn allocates for a connection before any stream is open; measured. */
export function connectionBytes(settings: QuicSettings): number {
  return 40_000 + 85 * maxStreams(settings);
}

function u32(value: number): number {
  return Math.min(Math.max(0, Math.round(value)), 0xffff_ffff);
}

/** The addon ends the process where the kernel refuses a size; within a C int it clamps instead. */
function socketBufferBytes(settings: QuicSettings): number {
  return Math.min(u32(settings.socketBufferBytes), 0x3fff_ffff);
}

const mostStreams = 4_096;
/** How long `abort` of a server waits for its connections to drain; see QuinnListener.close. */
const shutdownTimeoutMs = 1000;
