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
    maxConcurrentStreamLimit: u32(settings.maxStreams),
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

function u32(value: number): number {
  return Math.min(Math.max(0, Math.round(value)), 0xffff_ffff);
}

/** The addon ends the process where the kernel refuses a size; within a C int it clamps instead. */
function socketBufferBytes(settings: QuicSettings): number {
  return Math.min(u32(settings.socketBufferBytes), 0x3fff_ffff);
}

/** How long `abort` of a server waits for its connections to drain; see QuinnListener.close. */
const shutdownTimeoutMs = 1000;
