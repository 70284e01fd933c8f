import type { Duplex } from "node:stream";
import type { Clock } from "@culvert/runtime";
import { agentDefaults } from "../agent-defaults.ts";

/**
 * Sends a client its last bytes and an end, and closes once it has ended too, or after {@link agentDefaults.lingerTimeout}. What it still
 * sends is thrown away: to close with unread bytes would be a reset, and the client might never see the answer.
 */
export function answerAndClose(stream: Duplex, answer: Uint8Array | string, clock: Clock): void {
  if (stream.destroyed) return;
  const timer = clock.setTimer(agentDefaults.lingerTimeout, () => stream.destroy());
  stream.once("close", () => timer.cancel());
  stream.end(answer);
  stream.resume();
}
