import { Writable } from "node:stream";
import { createLog, type Log } from "@culvert/telemetry";

/** A log, and the JSON lines that were written to it so far, parsed. */
export function logToLines(): {
  readonly log: Log;
  readonly lines: readonly Readonly<Record<string, unknown>>[];
} {
  const lines: Record<string, unknown>[] = [];
  const destination = new Writable({
    write(chunk: Buffer, _encoding, done) {
      for (const line of chunk.toString().trim().split("\n")) {
        lines.push(JSON.parse(line) as Record<string, unknown>);
      }
      done();
    },
  });
  return { log: createLog({ level: "info", format: "json", destination }), lines };
}
