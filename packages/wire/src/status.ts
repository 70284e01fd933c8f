import { WireError } from "@culvert/runtime";

/**
 * The closed table of statuses, one meaning each (PROTOCOL.md §5). 1xx: it works; 2xx: refused, and the protocol was kept;
 * 4xx: the other end broke the protocol; 5xx: we failed.
 */
export const Status = {
  ok: 100, //                         the session or connection is open                        (v1)
  unknown_server: 200, //             the relay knows no server of that name                   (v1)
  server_offline: 201, //             the server is known and has no session that answers      (v1)
  permission_denied_by_relay: 202, // no grant covers this, or the identity is not known       (v1)
  permission_denied_by_server: 203, // the server's allow list does not cover the target        (v1)
  target_refused: 204, //             the target's machine refused the connection              (v1)
  target_unreachable: 205, //         no route, no such host name, or the network said no      (v1)
  target_timeout: 206, //             the target did not answer in time                        (v1)
  resource_limit: 207, //             a limit is reached; `limit` names it                     (v1)
  draining: 208, //                   the answering end shuts down and takes nothing new       (v1)
  superseded: 209, //                 another process attached with the same identity later    (v1)
  malformed: 400, //                  the tip could not be parsed or broke a rule              (v1)
  unsupported_version: 401, //        the frame's version byte is not known                    (v1)
  internal: 500, //                   the answering end failed                                 (v1)
} as const;

/** A status as it stands on the wire: one of {@link Status}, or the number a newer peer sent. Everything but `ok` is a refusal. */
export type StatusCode = number;

/** The name of a status, for logs and metrics: `target_refused`; `unknown(999)` where the number is not in the table. */
export function statusName(code: StatusCode): string {
  return names.get(code) ?? `unknown(${code})`;
}

/** The status to answer a tip with whose reading failed with `error` (PROTOCOL.md §4.4). */
export function statusOfError(error: unknown): StatusCode {
  if (!(error instanceof WireError)) return Status.internal;
  return error.code === "unsupported_version" ? Status.unsupported_version : Status.malformed;
}

const names = new Map<number, string>(Object.entries(Status).map(([name, code]) => [code, name]));
