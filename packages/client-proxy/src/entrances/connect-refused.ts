import { TransportError } from "@culvert/runtime";
import { statusName, type StatusCode } from "@culvert/wire";

/** Who turned a connection away: this daemon, the relay or the server. */
export type RefusedBy = "client" | "relay" | "server";

/** A connection that was answered with a refusal. Its `code` is `refused`; branch on {@link status}. */
export class ConnectRefused extends TransportError {
  /** Why (PROTOCOL.md §5); numbers of newer peers are kept. */
  readonly status: StatusCode;
  readonly by: RefusedBy;

  constructor(status: StatusCode, text: string, by: RefusedBy) {
    super("refused", text === "" ? statusName(status) : text, { data: { status, by } });
    this.status = status;
    this.by = by;
  }
}
