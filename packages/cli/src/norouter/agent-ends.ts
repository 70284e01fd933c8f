import { fstatSync } from "node:fs";
import { Socket } from "node:net";
import type { Readable, Writable } from "node:stream";

/**
 * Standard input and output for frames. Where they are pipes, not `process.stdout`: Node writes to pipes synchronously there, and an
 * agent that waits for its manager to read does not read itself.
 */
export function agentEnds(): { readonly input: Readable; readonly output: Writable } {
  return {
    input: isPipe(0) ? new Socket({ fd: 0, readable: true, writable: false }) : process.stdin,
    output: isPipe(1) ? new Socket({ fd: 1, readable: false, writable: true }) : process.stdout,
  };
}

function isPipe(fd: number): boolean {
  const stat = fstatSync(fd);
  return stat.isFIFO() || stat.isSocket();
}
