import { millis, type RetryOptions } from "@culvert/runtime";

/**
 * Back-off of P2 and P4 between dials. The cap is low: a relay that restarts is found again within a second, at the price of one
 * small datagram a second while it is away. It grows slowly: a relay takes half a second to start, and of that doubled waits would
 * make a whole second.
 */
export const reconnectDefaults: RetryOptions = {
  first: millis(100),
  cap: millis(1_000),
  factor: 1.25,
};

/** Longest wait for a session, from name lookup to proved identity; above one handshake time-out. */
export const dialTimeoutDefault = millis(6_000);

/** Head start of one address over the next (RFC 8305 §5, Connection Attempt Delay). */
export const connectionAttemptDelay = millis(250);
