import { errorText, splice, TransportError, type ByteStream } from "@culvert/runtime";
import type { Log, LogFields } from "@culvert/telemetry";

/** What a connection is joined with, and what logs say of it. */
export interface JoinOptions {
  readonly log: Log;
  /** What it is and where it leads, for logs. */
  readonly fields: LogFields;
  /** Connects; the signal aborts when the accepted connection is gone first. */
  readonly dial: (signal: AbortSignal) => Promise<ByteStream>;
}

/**
 * Joins an accepted connection with one that is dialled now, to the end of both. Where dialling fails the accepted one is reset: it was
 * open before anybody knew whether it leads anywhere. Owns the stream; never rejects.
 */
export async function joinDialled(accepted: ByteStream, options: JoinOptions): Promise<void> {
  const { log, fields, dial } = options;
  accepted.on("error", () => undefined);
  const gone = new AbortController();
  const onClose = (): void => gone.abort(new TransportError("aborted", "the client is gone"));
  accepted.once("close", onClose);
  if (accepted.closed) onClose();
  let dialled: ByteStream;
  try {
    dialled = await dial(gone.signal);
  } catch (error) {
    log.debug("norouter.agent.connection.refused", { ...fields, reason: errorText(error) });
    accepted.destroy(error instanceof Error ? error : new Error(errorText(error)));
    return;
  } finally {
    accepted.off("close", onClose);
  }
  log.debug("norouter.agent.connection.opened", fields);
  const { leftToRightBytes, rightToLeftBytes, failure } = await splice(accepted, dialled);
  log.debug("norouter.agent.connection.closed", {
    ...fields,
    sentBytes: leftToRightBytes,
    receivedBytes: rightToLeftBytes,
    reason: failure?.error.message,
  });
}
