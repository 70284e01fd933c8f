import { TransportError } from "@culvert/runtime";
import type { ByteStream } from "@culvert/runtime";
import type { StatusCode } from "@culvert/wire";

/** Turns the target of an offer into a connection: the seam between the protocol and what it leads to. */
export interface Exit {
  /**
   * Opens a target, which is a service name, a port or `host:port` (PROTOCOL.md, targets), if it is allowed.
   * @throws ExitError with the status to answer.
   */
  connect(target: string, signal: AbortSignal): Promise<ByteStream>;
  /** What it allows, as it prints in `culvert status`. */
  describe(): readonly string[];
}

/** Why a target was not opened, as the status to answer (PROTOCOL.md, statuses). */
export class ExitError extends TransportError {
  readonly status: StatusCode;

  constructor(status: StatusCode, message: string, cause?: unknown) {
    super("refused", message, { data: { status }, cause });
    this.status = status;
  }
}
