/**
 * What driving a connection has cost so far, in things that can be counted and do not depend on the machine. Read by tests, which
 * hold each of them to a bound per MiB or per thousand datagrams.
 */
export interface DriverCounts {
  /** Turns taken. */
  turns: number;
  /** Calls of the native binding. */
  nativeCalls: number;
  /** Timers armed. */
  timers: number;
  /** Datagrams handed to the kernel. */
  sentDatagrams: number;
  /** Datagrams taken in. */
  receivedDatagrams: number;
  /** Chunks passed to readers of streams. */
  chunks: number;
}

/** Counts that start at nothing. */
export function driverCounts(): DriverCounts {
  return { turns: 0, nativeCalls: 0, timers: 0, sentDatagrams: 0, receivedDatagrams: 0, chunks: 0 };
}
