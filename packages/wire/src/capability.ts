/** Extensions that a peer announces to its neighbour (PROTOCOL.md §9.2). */
export const Capability = {
  /**
   * In an Attach: the session takes over gently from the standing one of the same instance, which keeps the streams it has. In an
   * AttachAnswer: the relay knows this (§4.1).
   */
  move: 1,
} as const;
