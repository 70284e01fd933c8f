import type { Millis } from "@culvert/runtime";
import type { SessionTerms } from "./identity-proof-messages.ts";
import type { TunnelSettings } from "./tunnel-api.ts";

/** Bounds of a session by WebSocket. */
export interface WssSettings {
  /** Most bytes the peer may send on one stream ahead of its reader. */
  readonly streamWindowBytes: number;
  /** Received and unread bytes of all streams beyond which the socket is not read. */
  readonly sessionWindowBytes: number;
  /** Streams the peer may have open at a time. */
  readonly maxStreams: number;
  /** Silence after which a ping is sent. */
  readonly keepAlive: Millis;
  /** Silence after which a session is dead. */
  readonly idleTimeout: Millis;
  /** The longest time for TLS, WebSocket and the proof of identity together. */
  readonly handshakeTimeout: Millis;
}

/** What the settings mean for the tunnel of a session. */
export function tunnelSettings(settings: WssSettings): Partial<TunnelSettings> {
  return {
    windowBytes: settings.streamWindowBytes,
    maxUnreadBytesOverAll: settings.sessionWindowBytes,
    maxStreams: settings.maxStreams,
    keepAlive: settings.keepAlive,
    idleTimeout: settings.idleTimeout,
    // Hello and proof have a few hundred bytes, and nobody is known before them.
    maxControlBytes: 8 * 1024,
    maxFrameBytes: 256 * 1024,
  };
}

/** What the settings allow the peer. */
export function sessionTerms(settings: WssSettings): SessionTerms {
  return {
    windowBytes: settings.streamWindowBytes,
    maxStreams: settings.maxStreams,
    capabilities: ["half-close"],
  };
}
