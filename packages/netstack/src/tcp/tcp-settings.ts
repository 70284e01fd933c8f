/** Limits and times of the connections of a stack. Times in milliseconds, sizes in bytes. */
export interface TcpSettings {
  /** What a connection keeps for a reader who does not read: the largest receive window it offers. */
  readonly receiveBufferBytes: number;
  /** Written bytes, not yet acknowledged, from which on a writer must wait. */
  readonly sendBufferBytes: number;
  /** The most bytes under way, whatever the path seems to bear. */
  readonly maxCongestionWindowBytes: number;
  /** How long a handshake that the peer began may take. */
  readonly handshakeTimeoutMs: number;
  /** How long `connect` waits if it is not told. */
  readonly connectTimeoutMs: number;
  /** A connection whose peer acknowledges nothing for so long is given up (RFC 9293 §3.8.3, RFC 5482). */
  readonly userTimeoutMs: number;
  /**
   * Silence after which the peer is asked whether it is there (RFC 9293 §3.8.4); 0 never asks. On by default: whoever only waits
   * would otherwise wait for ever for a peer that is gone, or whose RST was lost.
   */
  readonly keepAliveMs: number;
  /** How long a connection that closed first remembers it: twice the maximum segment lifetime (RFC 9293 §3.6.1). */
  readonly timeWaitMs: number;
  /** How long FIN of the peer is waited for when nobody here reads any more. */
  readonly finWait2Ms: number;
  /** The least retransmission time-out (RFC 6298 §2.4 with the value other stacks use). */
  readonly minRtoMs: number;
  readonly maxRtoMs: number;
}

/** What applies where a stack is not told otherwise. */
export const defaultTcpSettings: TcpSettings = {
  receiveBufferBytes: 2 * 1_024 * 1_024,
  sendBufferBytes: 2 * 1_024 * 1_024,
  maxCongestionWindowBytes: 8 * 1_024 * 1_024,
  handshakeTimeoutMs: 30_000,
  connectTimeoutMs: 60_000,
  userTimeoutMs: 120_000,
  keepAliveMs: 120_000,
  timeWaitMs: 60_000,
  finWait2Ms: 60_000,
  minRtoMs: 200,
  maxRtoMs: 120_000,
};

/** The first retransmission time-out, before any sample (RFC 6298 §2.1). */
export const initialRtoMs = 1_000;
/** The segment size of a peer that names none (RFC 9293 §3.7.1). */
export const defaultMssBytes = 536;
/** Our shift of the window (RFC 7323 §2.2): windows up to 4 MiB in steps of 64 bytes. */
export const ourWindowScale = 6;
