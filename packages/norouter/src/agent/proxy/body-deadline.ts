import type { ClientRequest, IncomingMessage } from "node:http";
import { millis, type Clock } from "@culvert/runtime";

/**
 * Calls `onLate` once where a client takes too long for the body of its request: in five minutes in which the other end would have
 * taken it, less than 1 KiB came. A byte now and then would otherwise keep two connections open for ever. Ends with the body.
 * `req` is read by somebody else already.
 */
export function watchBody(
  clock: Clock,
  { req, upstream }: { readonly req: IncomingMessage; readonly upstream: ClientRequest },
  onLate: () => void,
): void {
  if (req.complete) return;
  let bytes = 0;
  let isHeldUp = false;
  req.on("data", (chunk: Uint8Array) => (bytes += chunk.length));
  upstream.on("drain", () => (isHeldUp = true));
  const startWindow = () => clock.setTimer(millis(windowMs), endWindow);
  const endWindow = (): void => {
    if (req.complete) return;
    if (bytes < minWindowBytes && !isHeldUp && !upstream.writableNeedDrain) {
      onLate();
      return;
    }
    bytes = 0;
    isHeldUp = false;
    timer = startWindow();
  };
  let timer = startWindow();
  for (const event of ["end", "close"]) req.once(event, () => timer.cancel());
  upstream.once("close", () => timer.cancel());
}

const windowMs = 300_000;
const minWindowBytes = 1_024;
