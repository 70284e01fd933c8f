/**
 * Sequence numbers wrap at 2^32; the engine counts in positions instead, which do not (RFC 9293 §3.4). A direction's SYN is at
 * position 0, its first byte at 1, and FIN takes one position after the last byte.
 */
export const synPosition = 0;

/** The sequence number on the wire of a position, given the initial sequence number of its direction. */
export function wireSequence(initial: number, position: number): number {
  return (initial + position) >>> 0;
}

/** The position nearest to `near` that a sequence number on the wire may mean: at most 2^31 away from it. */
export function positionNear(initial: number, wire: number, near: number): number {
  return near + ((wire - initial - near) | 0);
}
