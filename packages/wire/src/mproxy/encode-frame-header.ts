import { InternalError, WireError } from "@culvert/runtime";
import { quoteText } from "../quote-text.ts";
import {
  maxHeaderBytes,
  mproxyVersionByte,
  reservedWords,
  type MproxyFrame,
} from "./mproxy-frame.ts";

/**
 * The two bytes and the text that go before a frame's body, in a fresh array the caller owns. Absent fields are empty.
 * @throws WireError `frame_too_large` where the header would pass 255 bytes, `malformed_message` where a field holds a comma, a space
 * or a control character: foreign text must never move the fields behind it.
 */
export function encodeFrameHeader(frame: MproxyFrame): Uint8Array {
  const text = headerText(frame);
  const header = new Uint8Array(2 + text.length);
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (code > 0x7e) return withLength(encoder.encode(text));
    header[2 + index] = code;
  }
  return finish(header);
}

/** Whether text may stand in a header field: no comma, nothing below `!`, no DEL. */
export function isFieldText(text: string): boolean {
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (code <= 0x20 || code === comma || code === 0x7f) return false;
  }
  return true;
}

function headerText(frame: MproxyFrame): string {
  const { kind, length } = frame;
  if (!Number.isSafeInteger(length) || length < 0) {
    throw new InternalError("invariant", `a body of ${length} bytes`);
  }
  if (kind === "control") return `,,,${length},control`;
  const { family, address, port } = frame.connection;
  const service = field(frame.service);
  if (kind === "data" && Object.hasOwn(reservedWords, service)) {
    throw new WireError("malformed_message", `"${service}" is not the name of a service`);
  }
  const id = `${field(family)},${field(address)},${field(port)},${length}`;
  const rest = `${field(frame.servicePort)},${field(frame.name)}`;
  if (kind === "connection") return `${id},connection,${rest},${service}`;
  return `${id},${kind === "data" ? service : kind},${rest}`;
}

function field(text: string | undefined): string {
  if (text === undefined) return "";
  if (isFieldText(text)) return text;
  throw new WireError(
    "malformed_message",
    `a comma, space or control character in ${quoteText(text)}`,
  );
}

function withLength(text: Uint8Array): Uint8Array {
  const header = new Uint8Array(2 + text.length);
  header.set(text, 2);
  return finish(header);
}

function finish(header: Uint8Array): Uint8Array {
  const length = header.length - 2;
  if (length > maxHeaderBytes) {
    const data = { length, max: maxHeaderBytes };
    const text = `a header of ${length} bytes; at most ${maxHeaderBytes} are allowed`;
    throw new WireError("frame_too_large", text, { data });
  }
  header[0] = mproxyVersionByte;
  header[1] = length;
  return header;
}

const encoder = new TextEncoder();
const comma = 0x2c;
