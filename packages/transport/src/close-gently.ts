import { millis, withDeadline, type Clock, type CloseReason } from "@culvert/runtime";
import type { Session } from "./session.ts";

/**
 * Closes a session once what its ended streams have sent has arrived, or after five seconds: a splice ends when FIN is handed over,
 * and a close right then would cut off the last bytes. Never rejects.
 */
export async function closeGently(
  session: Session,
  reason: CloseReason,
  clock: Clock,
): Promise<void> {
  await withDeadline({ clock, limit: drainLimit, what: "the last bytes" }, () =>
    session.drain(),
  ).catch(() => undefined);
  session.close(reason);
}

/** Longer than the last flight and its retransmissions take on a bad path; a peer that does not read is not waited for. */
const drainLimit = millis(5_000);
