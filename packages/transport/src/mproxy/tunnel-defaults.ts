import { millis } from "@culvert/runtime";
import type { TunnelSettings } from "./tunnel-api.ts";

/** Defaults of {@link TunnelSettings}. */
export const tunnelDefaults: TunnelSettings = {
  // 100 ms x 320 Mbit/s on one stream; TCP below has its own windows, so more would mostly be memory.
  windowBytes: 4 * 1024 * 1024,
  pauseAboveBytes: 1024 * 1024,
  // What a peer has under way when it hears the pause: its own megabyte, the carrier's, and the network's.
  maxUnreadBytes: 8 * 1024 * 1024,
  // 16 readers that have stopped altogether, before they hold up the others.
  maxUnreadBytesOverAll: 64 * 1024 * 1024,
  // 20 ms at 100 Mbit/s.
  aheadBytes: 256 * 1024,
  frameBytes: 64 * 1024,
  maxFrameBytes: 16 * 1024 * 1024,
  maxControlBytes: 64 * 1024,
  maxOwedBytes: 256 * 1024,
  maxStreams: 16_384,
  // As the QUIC sessions: a frozen peer is noticed within 10 s, with several lost pings to spare.
  keepAlive: millis(1_000),
  idleTimeout: millis(8_000),
  endLinger: millis(60_000),
};
