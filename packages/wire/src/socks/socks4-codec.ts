import { WireError } from "@culvert/runtime";

/** Answers to a SOCKS4 request. */
export const Socks4Reply = {
  granted: 0x5a,
  rejected: 0x5b,
} as const;

/** What a SOCKS4 client says before its bytes flow. */
export interface Socks4Request {
  /** 1 is CONNECT, 2 BIND. */
  readonly command: number;
  /** An address, or with SOCKS4a a name as it was sent, unchecked and one character for each byte. */
  readonly host: string;
  readonly hostKind: "name" | "ipv4";
  readonly port: number;
  /** Port and address as they were sent: a copy, for an answer that repeats them. */
  readonly destination: Uint8Array;
  /** What follows the request and belongs to the connection: a view, valid until the next push. */
  readonly rest: Uint8Array;
}

/**
 * Decodes a SOCKS4 or SOCKS4a request from chunks of any size:
 *
 *     4, command, port (2), address (4), user id, 0                   SOCKS4
 *     4, command, port (2), 0.0.0.x with x > 0, user id, 0, name, 0   SOCKS4a
 *
 * Keeps less than 520 bytes. After a throw, or behind the request, it takes nothing more.
 */
export class Socks4Decoder {
  #held = new Uint8Array(0);
  #isOver = false;

  /**
   * Takes a chunk; returns the request once it is whole.
   * @throws WireError `unsupported_version`; `malformed_message` where a text is longer than 255 bytes; `decoder_dead` after either or
   * behind the request.
   */
  push(chunk: Uint8Array): Socks4Request | undefined {
    if (this.#isOver) throw new WireError("decoder_dead", "the SOCKS4 handshake is over");
    const bytes = new Uint8Array(this.#held.length + chunk.length);
    bytes.set(this.#held);
    bytes.set(chunk, this.#held.length);
    this.#isOver = true;
    const request = readRequest(bytes);
    if (request !== undefined) return request;
    this.#isOver = false;
    this.#held = bytes;
    return undefined;
  }
}

/** The answer to a request; `destination` is the request's, repeated as servers do. */
export function encodeSocks4Reply(reply: number, destination: Uint8Array): Uint8Array {
  return Uint8Array.of(0, reply, ...destination);
}

/** Undefined where it is not complete. */
function readRequest(bytes: Uint8Array): Socks4Request | undefined {
  const [version, command, high, low] = bytes;
  if (version !== undefined && version !== socks4Version) {
    throw new WireError("unsupported_version", `SOCKS version ${version} instead of 4`, {
      data: { version },
    });
  }
  const user = readText(bytes, fixedBytes, "user id");
  if (user === undefined || command === undefined || high === undefined || low === undefined) {
    return undefined;
  }
  const address = bytes.subarray(4, fixedBytes);
  const isName = /^0,0,0,[^0]/.test(address.join());
  const name = isName ? readText(bytes, user.end, "name") : undefined;
  if (isName && name === undefined) return undefined;
  return {
    command,
    host: name?.text ?? address.join("."),
    hostKind: isName ? "name" : "ipv4",
    port: high * 256 + low,
    destination: bytes.slice(2, fixedBytes),
    rest: bytes.subarray(name?.end ?? user.end),
  };
}

/** A text up to the zero byte that ends it; undefined where that has not come yet. */
function readText(bytes: Uint8Array, start: number, what: string): Text | undefined {
  const end = bytes.indexOf(0, start);
  const length = (end === -1 ? bytes.length : end) - start;
  if (length > maxTextBytes) {
    throw new WireError("malformed_message", `SOCKS4: a ${what} longer than ${maxTextBytes} bytes`);
  }
  if (end === -1) return undefined;
  return { text: String.fromCharCode(...bytes.subarray(start, end)), end: end + 1 };
}

interface Text {
  readonly text: string;
  /** Where the bytes behind it begin. */
  readonly end: number;
}

const socks4Version = 0x04;
/** Version, command, port and address. */
const fixedBytes = 8;
const maxTextBytes = 255;
