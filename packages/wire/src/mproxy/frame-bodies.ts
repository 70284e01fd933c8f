import { WireError } from "@culvert/runtime";
import { quoteText } from "../quote-text.ts";

/** What an `error` frame says about the connection it ends. */
export interface ConnectionError {
  /** One line for people; may be empty. */
  readonly message: string;
  /** A stable word such as `E_NO_CONN`; `E_UNKNOWN_ERR` where the peer gave none. */
  readonly code: string;
}

/**
 * Reads the body of an `error` frame: a JSON object, text that is no JSON (some send the bare code), or nothing.
 * @throws WireError `malformed_message` for JSON that is no object.
 */
export function parseErrorBody(body: Uint8Array): ConnectionError {
  const text = new TextDecoder().decode(body).trim();
  if (text === "") return { message: "", code: unknownCode };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { message: text, code: unknownCode };
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new WireError("malformed_message", `an error body of ${quoteText(text)}`);
  }
  const { message, code } = value as Record<string, unknown>;
  return {
    message: typeof message === "string" ? message : "",
    code: typeof code === "string" ? code : unknownCode,
  };
}

/** The body of an `error` frame, in a fresh array. */
export function formatErrorBody({ message, code }: ConnectionError): Uint8Array {
  const short = message.slice(0, maxMessageLength);
  return new TextEncoder().encode(JSON.stringify({ message: short, code }));
}

/**
 * Reads the body of `pause` and `resume`: how many bytes of the connection the peer has read so far; undefined where there is none.
 * @throws WireError `malformed_message`.
 */
export function parseByteCount(body: Uint8Array): number | undefined {
  const text = new TextDecoder().decode(body).trim();
  if (text === "") return undefined;
  if (/^[0-9]{1,16}$/.test(text)) {
    const count = Number(text);
    if (Number.isSafeInteger(count)) return count;
  }
  throw new WireError("malformed_message", `${quoteText(text)} is no count of bytes`);
}

/** The body of `pause` and `resume`, in a fresh array. */
export function formatByteCount(bytes: number): Uint8Array {
  return new TextEncoder().encode(String(bytes));
}

const unknownCode = "E_UNKNOWN_ERR";
/** With escapes of six characters each it stays below what peers take. */
const maxMessageLength = 512;
