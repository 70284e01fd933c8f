import { WireError } from "@culvert/runtime";
import { quoteText } from "../quote-text.ts";
import { isFieldText } from "./encode-frame-header.ts";
import {
  noConnection,
  reservedWords,
  type MproxyFrame,
  type MproxyFrameKind,
} from "./mproxy-frame.ts";

/**
 * Reads the text of a header. Takes five, seven or eight fields and ignores more, and takes away the `,` and newline one
 * implementation ends every header with.
 * @throws WireError `malformed_message` for anything else, such as a length that is not a plain decimal number.
 */
export function decodeFrameHeader(bytes: Uint8Array): MproxyFrame {
  const fields = withoutTrailer(decodeText(bytes)).split(",");
  const [family = "", address = "", port = "", length = "", word] = fields;
  if (word === undefined) throw malformed("a header of fewer than five fields", bytes);
  for (const field of fields) {
    if (!isFieldText(field)) throw malformed("a space or control character in a header", bytes);
  }
  if (!plainNumber.test(length)) throw malformed("a length that is no plain number", bytes);
  const kind = kindOf(word);
  return {
    kind,
    connection: kind === "control" ? noConnection : { family, address, port },
    service: kind === "connection" ? fields[7] : kind === "data" ? word : undefined,
    servicePort: fields[5],
    name: fields[6],
    length: Number(length),
  };
}

function kindOf(word: string): MproxyFrameKind {
  return Object.hasOwn(reservedWords, word) ? (word as keyof typeof reservedWords) : "data";
}

function decodeText(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch (cause) {
    throw new WireError("malformed_message", "a header that is not UTF-8", { cause });
  }
}

function withoutTrailer(text: string): string {
  return text.endsWith(",\n") ? text.slice(0, -2) : text;
}

function malformed(what: string, bytes: Uint8Array): WireError {
  const shown = quoteText(new TextDecoder().decode(bytes));
  return new WireError("malformed_message", `${what}: ${shown}`);
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
/** No sign, no exponent, and few enough digits to be exact. */
const plainNumber = /^[0-9]{1,15}$/;
