import { millis } from "@culvert/runtime";
import type { EgressLimits } from "./egress-queue.ts";

/**
 * Packets that may wait for a pipe whose reader is slow. Bulk is held back long before; what comes nevertheless, such as what is sent
 * again and much that is small, is dropped beyond.
 */
export const egressDefaults: EgressLimits = {
  maxBytes: 16 * 1024 * 1024,
  maxPackets: 16_384,
};

/**
 * With this much waiting, connections hold their data back: enough to keep the pipe busy until they are asked again, and little for
 * others to wait behind.
 */
export const roomBytes = 512 * 1024;

/** How the two ends of a link find each other: nothing outside of the pipe ever sees these (PROTOCOL.md §14). */
export const norouterAddresses = {
  listener: "127.0.42.1",
  dialler: "127.0.42.2",
  /** Where the listener takes the control connection. */
  controlPort: 1,
  /** Where both take streams. */
  streamPort: 2,
} as const;

/** Longest wait for a stream's handshake: within one pipe, silence means that the peer is gone. */
export const streamOpenTimeout = millis(10_000);
