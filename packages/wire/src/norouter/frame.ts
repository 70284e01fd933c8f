/**
 * Frames of NoRouter, as they follow each other on the standard input and output of an agent (NOROUTER.md §1):
 *
 *     offset  size  field
 *     0       1     magic, 0x42
 *     1       3     length of all that follows it: 4 + payload
 *     4       2     type
 *     6       2     reserved: sent as 0, ignored by receivers, kept by a manager that forwards a packet
 *     8       n     payload
 *
 * Numbers are big-endian. There is no handshake, no ping and no last frame: the end of the stream is the end of the agent.
 */
export const frameType = {
  /** One IPv4 packet as it is. */
  l3: 0x0001,
  /** One JSON message in UTF-8 (NOROUTER.md §2). */
  json: 0x0002,
} as const;

/** One frame. Types that are not in {@link frameType} are for the receiver to count and skip. */
export interface NorouterFrame {
  readonly type: number;
  readonly reserved: number;
  readonly payload: Uint8Array;
}

/** What a receiver takes where it is not told otherwise. */
export const norouterDefaults = {
  /** No IPv4 packet is longer. Frames of unknown types are held to it, too. */
  maxPacketBytes: 65_535,
  /** A configure request for thousands of hosts fits. */
  maxJsonBytes: 4 * 1024 * 1024,
} as const;
