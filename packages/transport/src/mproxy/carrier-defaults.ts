import { millis } from "@culvert/runtime";

/** Bounds of the carriers. */
export const carrierDefaults = {
  /** With this much written and not yet handed to the system, `write` returns false: what a tunnel may write ahead. */
  highWaterBytes: 256 * 1024,
  /** With this much left of it, `drain` is called. */
  lowWaterBytes: 64 * 1024,
  /** An orderly end that takes longer is cut. */
  closeTimeout: millis(2_000),
  /** Largest WebSocket message we send: the largest body of a frame. */
  sentMessageBytes: 64 * 1024,
  /** Largest WebSocket message that is taken, with room for other peers. Strangers can make us keep one each. */
  maxMessageBytes: 256 * 1024,
} as const;
