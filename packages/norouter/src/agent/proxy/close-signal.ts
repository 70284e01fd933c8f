import type { Duplex, Writable } from "node:stream";
import { TransportError } from "@culvert/runtime";

/** A signal that aborts when a client is gone, and the means to stop watching. */
export interface CloseSignal {
  readonly signal: AbortSignal;
  readonly release: () => void;
}

/** Watches a client from now on; one that is gone already aborts at once. */
export function closeSignal(client: Duplex | Writable): CloseSignal {
  const gone = new AbortController();
  const onClose = (): void => gone.abort(new TransportError("aborted", "the client is gone"));
  client.once("close", onClose);
  if (client.closed || client.destroyed) onClose();
  return { signal: gone.signal, release: () => void client.off("close", onClose) };
}
