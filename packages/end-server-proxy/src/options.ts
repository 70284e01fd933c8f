import { millis, type Millis } from "@culvert/runtime";
import type { ExposeRule } from "./public/expose-rule.ts";

/** Bounds of an end-server proxy. */
export interface EndServerOptions {
  /** Forwarded connections open or being opened. */
  readonly maxConnections: number;
  /** How long the relay may take to send the tip of a stream. */
  readonly tipDeadline: Millis;
  /** What the internet may reach through the relay, where its configuration grants it. */
  readonly exposes?: readonly ExposeRule[];
  /** How long connections may go on after a drain has begun. */
  readonly drainTimeout: Millis;
}

/** Defaults of {@link EndServerOptions} and of the time a target may take to accept. */
export const endServerDefaults = {
  maxConnections: 12_000,
  tipDeadline: millis(5_000),
  connectTimeout: millis(10_000),
} as const;
