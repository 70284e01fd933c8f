import { WireError } from "@culvert/runtime";
import { quoteText } from "../quote-text.ts";
import { mproxyDefaults } from "./mproxy-frame.ts";

/** What the body of a `control` frame says: one JSON array, a number first. */
export type ControlMessage =
  /** `[id, "command", ...args]`, id above 0. */
  | {
      readonly type: "command";
      readonly id: number;
      readonly command: string;
      readonly args: readonly unknown[];
    }
  /** `[-id, error or null, ...results]`: the answer to the command with this id (given here above 0). */
  | {
      readonly type: "answer";
      readonly id: number;
      readonly error: unknown;
      readonly results: readonly unknown[];
    }
  /** `[0, error]`: an error that answers nothing. */
  | { readonly type: "notice"; readonly error: unknown };

/**
 * Reads a control body. The values in it are the peer's: whoever uses them checks them.
 * @throws WireError `malformed_message`.
 */
export function parseControlMessage(body: Uint8Array): ControlMessage {
  const value = parseJson(body);
  if (!Array.isArray(value)) throw malformed("a control message that is no array", body);
  const [number, second, ...rest] = value as unknown[];
  if (typeof number !== "number" || !Number.isSafeInteger(number)) {
    throw malformed("a control message without its number", body);
  }
  if (number === 0) return { type: "notice", error: second };
  if (number < 0) return { type: "answer", id: -number, error: second ?? null, results: rest };
  if (typeof second !== "string") throw malformed("a control message without a command", body);
  return { type: "command", id: number, command: second, args: rest };
}

/**
 * The body of a control frame, in a fresh array.
 * @throws WireError `frame_too_large` where it would pass what peers take.
 */
export function formatControlMessage(message: ControlMessage): Uint8Array {
  const body = encoder.encode(JSON.stringify(asArray(message)));
  const max = mproxyDefaults.maxControlBytes;
  if (body.length <= max) return body;
  const text = `a control message of ${body.length} bytes; at most ${max} are allowed`;
  throw new WireError("frame_too_large", text, { data: { length: body.length, max } });
}

function asArray(message: ControlMessage): unknown[] {
  switch (message.type) {
    case "command":
      return [message.id, message.command, ...message.args];
    case "answer":
      return [-message.id, message.error ?? null, ...message.results];
    case "notice":
      return [0, message.error];
  }
}

function parseJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(decoder.decode(body));
  } catch {
    throw malformed("a control message that is no JSON", body);
  }
}

/** Shows little, and never the arguments, which may hold tokens. */
function malformed(what: string, body: Uint8Array): WireError {
  const shown = quoteText(new TextDecoder().decode(body.subarray(0, 12)));
  return new WireError("malformed_message", `${what}: begins ${shown}`);
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });
