import type { Socket } from "node:net";
import type { Clock, Millis } from "@culvert/runtime";

/**
 * Sends P1 its last bytes and an end, and closes once P1 has ended too, at the latest after `linger`. What P1 still sends is thrown
 * away: closing with unread bytes would reset the connection, and P1 might never see the answer.
 */
export function answerAndClose(
  socket: Socket,
  answer: Uint8Array | string,
  { clock, linger }: { readonly clock: Clock; readonly linger: Millis },
): void {
  if (socket.destroyed) return;
  const timer = clock.setTimer(linger, () => socket.resetAndDestroy());
  socket.once("close", () => timer.cancel());
  socket.end(answer);
  socket.resume();
}
