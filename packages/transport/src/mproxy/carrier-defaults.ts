import { millis } from "@culvert/runtime";

/** Bounds of the carriers. */
export const carrierDefaults = {
  /** With this much written and not yet handed to the system, `write` returns false; twice what a tunnel writes ahead. */
  highWaterBytes: 512 * 1024,
  /** With this much left of it, `drain` is called. */
  lowWaterBytes: 128 * 1024,
  /** An orderly end that takes longer is cut. */
  closeTimeout: millis(2_000),
  /** Largest WebSocket message that is taken: the largest frame of our own, header and body, and room for newer peers. */
  maxMessageBytes: 1024 * 1024,
} as const;
