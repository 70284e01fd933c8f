import type { Duplex } from "node:stream";
import { millis, type Clock } from "@culvert/runtime";

/**
 * Says last words to a client and ends its socket: what it still sends is read and dropped for a second, since a close with
 * bytes unread would reset the connection before the words are read.
 */
export function lingeringEnd(socket: Duplex, words: string | Uint8Array, clock: Clock): void {
  if (socket.destroyed || socket.writableEnded) return;
  const timer = clock.setTimer(linger, () => socket.destroy(), { unref: true });
  socket.once("close", () => timer.cancel());
  socket.end(words);
  socket.resume();
}

const linger = millis(1_000);
