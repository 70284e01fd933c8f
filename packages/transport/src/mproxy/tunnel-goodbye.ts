import type { CloseReason } from "@culvert/runtime";
import type { ControlMessage } from "@culvert/wire";

/** The last message of a tunnel between two of ours: why it closes. It is not answered. */
export function closeMessage(reason: CloseReason): ControlMessage {
  const text = reason.text.slice(0, maxTextLength);
  return { type: "command", id: 1, command: closeCommand, args: [{ code: reason.code, text }] };
}

/** Why the peer closes, if that is what the message says. */
export function closeReasonOf(message: ControlMessage): CloseReason | undefined {
  if (message.type !== "command" || message.command !== closeCommand) return undefined;
  const [said] = message.args;
  const { code, text }: Record<string, unknown> =
    typeof said === "object" && said !== null ? { ...said } : {};
  const known = typeof code === "string" && /^[a-z_]{1,40}$/.test(code) ? code : "closed";
  return {
    // Its protocol stack found fault with us, rather than its user with the session.
    by: known === protocolError ? "peer-stack" : "peer-app",
    code: known,
    text: typeof text === "string" ? text.slice(0, maxTextLength) : "",
  };
}

/** The code of a tunnel that ends because its peer broke the protocol; a WebSocket says 1002 for it. */
export const protocolError = "protocol_error";

const closeCommand = "close";
const maxTextLength = 512;
