import type { Duplex } from "node:stream";
import { within } from "../wait-until.ts";

/** How a stream came to its end. */
export interface StreamOutcome {
  /** Whether the reader saw an orderly end (FIN). */
  readonly ended: boolean;
  readonly error: Error | undefined;
}

/** Reads and throws away until the stream is closed, and tells how it ended. Call it before what ends the stream. */
export function streamOutcome(stream: Duplex, limitMs = 5_000): Promise<StreamOutcome> {
  const outcome = new Promise<StreamOutcome>((resolve) => {
    let ended = stream.readableEnded;
    stream.once("end", () => (ended = true));
    stream.on("error", () => undefined);
    const settle = (): void => resolve({ ended, error: stream.errored ?? undefined });
    if (stream.closed) settle();
    else stream.once("close", settle);
    stream.resume();
  });
  return within(outcome, { limitMs, what: "the end of a stream" });
}
