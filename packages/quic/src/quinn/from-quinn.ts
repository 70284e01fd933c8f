import { errorText, TransportError, type CloseReason } from "@culvert/runtime";
import type { UdpAddress } from "../engine.ts";

/*
 * quinn's errors arrive as bare strings, and everything that depends on their wording is here. A string that is not known gets the
 * least specific answer, so that a new wording in a newer addon costs clearness and nothing else.
 */

/** What a failed operation on a stream means. */
export type StreamFault = "reset" | "stopped" | "connection_lost" | "unknown";

/** Reads the error of `read` or `write`. */
export function streamFault(error: unknown): StreamFault {
  const text = errorText(error);
  if (text.startsWith("stream reset by peer")) return "reset";
  if (text.startsWith("sending stopped by peer")) return "stopped";
  if (text === "connection lost") return "connection_lost";
  return "unknown";
}

/** Reads the error that ended `inboundStream`: why the connection is over, if we did not close it ourselves. */
export function closeReasonFromQuinn(error: unknown): CloseReason {
  const text = errorText(error);
  if (text === "timed out") {
    return { by: "timeout", code: "idle", text: "nothing heard within the idle time-out" };
  }
  if (text.startsWith("closed by peer")) {
    // "closed by peer: 0", or with a reason: "closed by peer: going away (code 0)".
    const said = text.slice("closed by peer: ".length);
    return {
      by: "peer-app",
      code: "closed_by_peer",
      text: /^\d*$/.test(said) ? "the peer closed the connection" : said,
    };
  }
  if (text.startsWith("aborted by peer")) {
    return { by: "peer-stack", code: "aborted_by_peer", text };
  }
  if (text === "reset by peer") {
    const told = "the peer no longer knows the connection (stateless reset)";
    return { by: "peer-stack", code: "stateless_reset", text: told };
  }
  if (text === "closed") {
    // Without a close of ours: the endpoint under the connection was closed.
    return { by: "us", code: "endpoint_closed", text: "the endpoint was closed" };
  }
  if (text.includes("I/O error") || text.includes("endpoint driver")) {
    return { by: "network", code: "endpoint_lost", text };
  }
  return { by: "peer-stack", code: "protocol_violation", text };
}

/** Reads the error of a dial. */
export function dialErrorFromQuinn(error: unknown, address: UdpAddress): TransportError {
  const text = errorText(error);
  const where = formatAddress(address);
  const details = { data: { ...address }, cause: error };
  if (text === "timed out") {
    return new TransportError("timeout", `no answer from ${where}`, details);
  }
  if (text === "closed") return new TransportError("aborted", `dial of ${where}: aborted`, details);
  if (isBeforeHandshake(text)) {
    return new TransportError("dial_failed", `cannot dial ${where}: ${text}`, details);
  }
  return new TransportError("handshake_failed", `handshake with ${where}: ${text}`, details);
}

/** Reads the error of binding a server. */
export function listenErrorFromQuinn(error: unknown, address: UdpAddress): TransportError {
  const text = errorText(error);
  const where = formatAddress(address);
  const details = { data: { ...address }, cause: error };
  // The texts of other systems differ; the numbers are those of Linux, macOS and Windows.
  return /in use|os error (98|48|10048)\)/i.test(text)
    ? new TransportError("address_in_use", `${where} is in use`, details)
    : new TransportError("address_unavailable", `cannot listen on ${where}: ${text}`, details);
}

/** `UDP 127.0.0.1 port 30380`, for errors. */
export function formatAddress({ host, port }: UdpAddress): string {
  return `UDP ${host} port ${port}`;
}

/** quinn's ConnectError, and what the operating system says of a socket. */
function isBeforeHandshake(text: string): boolean {
  return (
    text.includes("os error") ||
    text.startsWith("invalid remote address") ||
    text.startsWith("invalid IP address") ||
    text.startsWith("endpoint stopping") ||
    text.startsWith("CIDs exhausted") ||
    text.startsWith("too many connections")
  );
}
