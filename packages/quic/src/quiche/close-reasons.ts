import { formatCloseReason, TransportError, type CloseReason } from "@culvert/runtime";
import type { QuicheFault } from "./errors.ts";
import type { StatedError } from "./guarded-connection.ts";

/** The error code of every CONNECTION_CLOSE of the application; the reason phrase tells the rest. */
export const applicationCloseCode = 0;

/** Code of the reason when quiche itself failed. */
export const engineFault = "engine_fault";

/** The reason phrase for a reason: `code: text`, cut to what fits any datagram together with the frame around it. */
export function encodeReason({ code, text }: CloseReason): Uint8Array {
  const phrase = Buffer.from(`${code}: ${text}`);
  if (phrase.length <= maxReasonBytes) return phrase;
  let end = maxReasonBytes;
  // Not in the middle of a UTF-8 sequence.
  while (end > 0 && ((phrase[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return phrase.subarray(0, end);
}

/** Why a connection ended, from what quiche knows. */
export function reasonFromQuiche(facts: {
  readonly peer: StatedError | undefined;
  readonly local: StatedError | undefined;
  readonly timedOut: boolean;
  readonly fault: QuicheFault | undefined;
}): CloseReason {
  const { peer, local, timedOut, fault } = facts;
  if (peer !== undefined) return peer.isApp ? reasonFromPeer(peer) : reasonFromStack(peer);
  if (timedOut) {
    return { by: "timeout", code: "idle", text: "nothing was heard for the idle time-out" };
  }
  if (local !== undefined) {
    const name = transportErrorName(local.code);
    return { by: "us", code: name, text: `our QUIC stack refused what the peer sent: ${name}` };
  }
  if (fault !== undefined) {
    const word = fault.kind === "other" ? fault.text : fault.kind;
    return { by: "us", code: engineFault, text: `quiche failed: ${oneLine(word)}` };
  }
  return { by: "peer-stack", code: "stateless_reset", text: "the peer does not know us any more" };
}

/** What callers of an ended connection and holders of its streams get. */
export function connectionClosedError(reason: CloseReason): TransportError {
  const text = `the connection is closed: ${formatCloseReason(reason)}`;
  return new TransportError("connection_closed", text, {
    data: { by: reason.by, code: reason.code },
  });
}

function reasonFromPeer({ code, reason }: StatedError): CloseReason {
  const match = /^([a-z][a-z0-9_]{0,39}): (.*)$/s.exec(reason);
  if (match?.[1] !== undefined && match[2] !== undefined) {
    return { by: "peer-app", code: match[1], text: oneLine(match[2]) };
  }
  return { by: "peer-app", code: code === 0 ? "closed" : `app_${code}`, text: oneLine(reason) };
}

function reasonFromStack({ code, reason }: StatedError): CloseReason {
  const name = transportErrorName(code);
  return {
    by: "peer-stack",
    code: name,
    text: oneLine(reason) || `the peer's QUIC stack ended the connection: ${name}`,
  };
}

/** A word for a transport error code (RFC 9000 §20.1); those from 0x100 carry a TLS alert. */
function transportErrorName(code: number): string {
  if (code >= 0x100 && code <= 0x1ff) return `tls_alert_${code - 0x100}`;
  return transportErrors[code] ?? `transport_${code}`;
}

/** What a peer wrote, fit for a log line. */
function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, " ").slice(0, maxReasonBytes);
}

const transportErrors = [
  "no_error",
  "internal_error",
  "connection_refused",
  "flow_control_error",
  "stream_limit_error",
  "stream_state_error",
  "final_size_error",
  "frame_encoding_error",
  "transport_parameter_error",
  "connection_id_limit_error",
  "protocol_violation",
  "invalid_token",
  "application_error",
  "crypto_buffer_exceeded",
  "key_update_error",
  "aead_limit_reached",
  "no_viable_path",
];
const maxReasonBytes = 240;
