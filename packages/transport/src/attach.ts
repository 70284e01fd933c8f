import { TransportError, type Clock, type Millis } from "@culvert/runtime";
import type { Attach, AttachAnswer } from "@culvert/wire";
import type { Session } from "./session.ts";
import { readTip, writeTip } from "./tip-io.ts";

/**
 * Says who we are on a fresh session and waits for the relay's answer.
 * @throws WireError or TransportError if the answer does not come or is none.
 */
export async function attach(
  session: Session,
  options: { readonly attach: Attach; readonly tipDeadline: Millis },
  clock: Clock,
  signal: AbortSignal,
): Promise<AttachAnswer> {
  const stream = await session.openStream();
  stream.on("error", () => undefined);
  try {
    writeTip(stream, options.attach);
    stream.end();
    const tip = await readTip(stream, { clock, deadline: options.tipDeadline, signal });
    if (tip.kind === "attachAnswer") {
      stream.resume();
      return tip;
    }
    throw new TransportError("refused", `the relay answered an attach with ${tip.kind}`);
  } catch (error) {
    stream.destroy();
    throw error;
  }
}
