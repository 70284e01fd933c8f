import { fstatSync } from "node:fs";
import { Socket } from "node:net";
import type { Readable, Writable } from "node:stream";
import { ConfigError } from "@culvert/runtime";

/** Standard input and output as the two halves of one pipe. */
export interface StandardEnds {
  readonly readable: Readable;
  readonly writable: Writable;
}

/**
 * Opens standard input and output for packets. Not `process.stdout`: Node writes to pipes synchronously there, so that two processes
 * with full pipes would wait for each other for ever.
 * @throws ConfigError `bad_usage` where a terminal or a file is there instead of pipes.
 */
export function standardEnds(): StandardEnds {
  for (const [fd, name] of [
    [0, "standard input"],
    [1, "standard output"],
  ] as const) {
    const stat = fstatSync(fd);
    if (stat.isFIFO() || stat.isSocket()) continue;
    throw new ConfigError(
      "bad_usage",
      `${name} is no pipe: this command is started by a link of a relay (links in its configuration), which talks to it there`,
    );
  }
  return {
    readable: new Socket({ fd: 0, readable: true, writable: false }),
    writable: new Socket({ fd: 1, readable: false, writable: true }),
  };
}
