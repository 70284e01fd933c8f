import { errorText, systemCode, type CloseReason } from "@culvert/runtime";

/** What an error of the kernel about one peer means for the connection with it. */
export interface NetworkError {
  /** Why the connection ends, if it ends for this. */
  readonly reason: CloseReason;
  /** Whether waiting is no use. */
  readonly fatal: boolean;
  /** Whether the error may stand for a datagram that somebody else sent. */
  readonly forgeable: boolean;
}

/** Reads an error that the kernel gave for sending or receiving. */
export function readNetworkError(error: Error): NetworkError {
  const known = fatalErrnos.get(systemCode(error) ?? "");
  const text = `${errorText(error)}${known?.hint ?? ""}`;
  return {
    reason: { by: "network", code: known?.code ?? "unreachable", text },
    fatal: known !== undefined,
    forgeable: known?.forgeable ?? true,
  };
}

const fatalErrnos = new Map([
  ["ECONNREFUSED", { code: "refused", hint: "; nobody listens there", forgeable: true }],
  [
    "EMSGSIZE",
    { code: "datagram_too_large", hint: "; make datagramBytes smaller", forgeable: false },
  ],
]);
