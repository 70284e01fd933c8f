import type { Socket } from "node:net";
import { dial, type DialLimits } from "./dial.ts";

/** What to dial on this machine, and how long. */
export interface DialUnixOptions extends DialLimits {
  /** Of a Unix socket, or of a named pipe on Windows. */
  readonly path: string;
}

/**
 * Dials a Unix socket, with half-close. Such a socket knows no reset: where the stream is destroyed the other end sees an end.
 * @throws as `dial`.
 */
export function dialUnix(options: DialUnixOptions): Promise<Socket> {
  const { path } = options;
  return dial(`unix:${path}`, { path, allowHalfOpen: true }, options);
}
