import { millis } from "@culvert/runtime";

/** Bounds of entrances where the configuration says nothing. */
export const entranceDefaults = {
  /** Connections open at once per entrance. One that waits for its answer holds at most 80 KiB of what P1 sent already. */
  maxConnections: 4096,
  /** From accepting to the end of a proxy handshake: three round trips on any path, and a person's patience. */
  handshakeTimeout: millis(10_000),
  /** How long P1 may take to read a refusal and close before it is reset. */
  lingerTimeout: millis(1000),
  /** Warnings of each kind that an entrance logs: whoever reaches it can provoke any number. */
  warningRate: { burst: 10, interval: millis(10_000) },
} as const;
