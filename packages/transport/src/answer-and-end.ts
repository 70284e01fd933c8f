import { millis, type ByteStream, type Clock } from "@culvert/runtime";
import type { Tip } from "@culvert/wire";
import { writeTip } from "./tip-io.ts";

/**
 * Answers a stream for the last time: the tip, FIN, and a bounded wait for the peer's own end, so that the answer is not cut off by
 * a reset. Takes ownership of the stream; never throws.
 */
export function answerAndEnd(stream: ByteStream, tip: Tip, clock: Clock): void {
  if (stream.destroyed) return;
  writeTip(stream, tip);
  stream.end();
  stream.resume();
  const timer = clock.setTimer(lingerLimit, () => stream.destroy(), { unref: true });
  stream.once("close", () => timer.cancel());
}

const lingerLimit = millis(2_000);
