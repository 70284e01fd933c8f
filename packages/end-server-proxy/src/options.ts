import { millis, type Millis } from "@culvert/runtime";

/** Bounds of an end-server proxy. */
export interface EndServerOptions {
  /** Forwarded connections open or being opened. */
  readonly maxConnections: number;
  /** How long the relay may take to send the tip of a stream. */
  readonly tipDeadline: Millis;
  /** How long connections may go on after a drain has begun. */
  readonly drainTimeout: Millis;
}

/** Defaults of {@link EndServerOptions} and of the time a target may take to accept. */
export const endServerDefaults = {
  maxConnections: 12_000,
  tipDeadline: millis(5_000),
  connectTimeout: millis(10_000),
} as const;
