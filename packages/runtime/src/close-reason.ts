/**
 * Why a session or stream ended, and who is to blame. `us`: we closed it; `peer-app`: the other daemon did; `peer-stack`: its
 * QUIC stack found fault; `network`: the path failed; `timeout`: silence.
 */
export interface CloseReason {
  readonly by: "us" | "peer-app" | "peer-stack" | "network" | "timeout";
  /** A stable word for metrics and branches, such as `superseded` or `idle`. */
  readonly code: string;
  /** One line for people. */
  readonly text: string;
}

/** `timeout (idle): nothing heard for 8s`, for logs and status. */
export function formatCloseReason(reason: CloseReason): string {
  return `${reason.by} (${reason.code})${reason.text === "" ? "" : `: ${reason.text}`}`;
}
