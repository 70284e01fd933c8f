import { largestStreamWindow } from "./quiche/transport-config.ts";
import { maxStreams } from "./quinn/native-config.ts";
import type { QuicSettings } from "./settings.ts";

/** What the peer of one connection can have us hold, whatever it does. */
export interface SessionBounds {
  /** Streams it may have open at a time. */
  readonly streams: number;
  /** Bytes received and not read: of one stream, and of all together. */
  readonly streamBytes: number;
  readonly connectionBytes: number;
}

/** The bounds that an engine keeps with the given settings, for estimates of memory and for advice. */
export function sessionBounds(engine: "quiche" | "quinn", settings: QuicSettings): SessionBounds {
  const { connectionWindowBytes } = settings;
  if (engine === "quinn") {
    const streams = maxStreams(settings);
    return { streams, streamBytes: connectionWindowBytes, connectionBytes: connectionWindowBytes };
  }
  // The connection's window is left open there, so that its streams add up.
  const streamBytes = largestStreamWindow(settings);
  const streams = settings.maxStreams;
  return { streams, streamBytes, connectionBytes: streams * streamBytes };
}
