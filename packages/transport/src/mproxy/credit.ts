/** Back-pressure of one connection, both ways: how much may be sent, and what the peer is to be told. */
export interface Credit {
  /** Most bytes that may be sent now. */
  readonly sendable: number;
  sent(bytes: number): void;
  /**
   * The peer has told how far it has read, or asked to wait, or to go on.
   * @throws WireError `malformed_message` where that cannot be.
   */
  heard(word: FlowWord, readBytes: number | undefined): void;
  /** Bytes have arrived; `unreadBytes` wait for the reader with them. Returns false where the peer should not have sent them. */
  received(bytes: number, unreadBytes: number): boolean;
  /** The reader has taken bytes; `unreadBytes` are left. */
  read(bytes: number, unreadBytes: number): void;
  /** Whether {@link takeOwed} has something. */
  readonly owes: boolean;
  /** What to tell the peer now, once. */
  takeOwed(): FlowFrame | undefined;
}

/** The two words of flow control. */
export type FlowWord = "pause" | "resume";

/** What a `pause` or `resume` frame says. */
export interface FlowFrame {
  readonly word: FlowWord;
  /** Bytes read on this connection so far. */
  readonly readBytes: number;
}
