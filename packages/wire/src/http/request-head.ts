import { WireError } from "@culvert/runtime";
import { hostOfAuthority, type Host } from "./host.ts";

/** The head of an HTTP/1 request, as far as a relay must know it. */
export interface RequestHead {
  readonly method: string;
  readonly target: string;
  /** Whom the Host header field names; undefined where there is none. */
  readonly host: Host | undefined;
  /** Bytes of the head; what follows is body. */
  readonly length: number;
}

/** What a {@link RequestHeadReader} may be told to hold a client to. */
export interface RequestHeadLimits {
  /** Largest head, bytes, the empty line included; 16,384 where not given. */
  readonly maxBytes?: number | undefined;
}

/**
 * Reads the head of an HTTP/1 request (RFC 9112 §3, §5) from bytes that arrive in any pieces. Strict: lines end with CRLF, no
 * line is folded, there is at most one Host. Pure; keeps no more than its limit. After a head, or after an error, it is dead.
 */
export class RequestHeadReader {
  readonly #maxBytes: number;
  #text = "";
  #dead = false;

  constructor(limits: RequestHeadLimits = {}) {
    this.#maxBytes = limits.maxBytes ?? 16_384;
  }

  /**
   * Takes the next bytes; returns the head once it is complete, undefined before.
   * @throws WireError `malformed_message`, `frame_too_large`; and `decoder_dead` for every push after a head or an error.
   */
  push(chunk: Uint8Array): RequestHead | undefined {
    if (this.#dead) throw new WireError("decoder_dead", "a request head reader reads one head");
    try {
      const head = this.#take(chunk);
      if (head !== undefined) this.#die();
      return head;
    } catch (error) {
      this.#die();
      throw error;
    }
  }

  #take(chunk: Uint8Array): RequestHead | undefined {
    const searchFrom = Math.max(0, this.#text.length - emptyLine.length);
    const room = this.#maxBytes - this.#text.length;
    for (const byte of chunk.subarray(0, room)) this.#text += String.fromCharCode(byte);
    const lineEnd = this.#text.indexOf("\r\n");
    // What is no HTTP is told at once, and not when it has filled the buffer.
    if (!couldBeRequest(lineEnd < 0 ? this.#text : this.#text.slice(0, lineEnd), lineEnd >= 0)) {
      throw malformed("it does not begin with a request line");
    }
    const end = this.#text.indexOf(emptyLine, searchFrom);
    if (end >= 0) return parseHead(this.#text.slice(0, end));
    if (chunk.length < room) return undefined;
    throw new WireError(
      "frame_too_large",
      `a request head of more than ${this.#maxBytes} bytes is not allowed`,
      { data: { max: this.#maxBytes } },
    );
  }

  #die(): void {
    this.#dead = true;
    this.#text = "";
  }
}

function couldBeRequest(line: string, whole: boolean): boolean {
  if (whole) return requestLine.test(line);
  return (
    /^[A-Z]{0,20}$/.test(line) || /^[A-Z]{1,20} [\x21-\x7e\x80-\xff]*(?: [HTP/1.]*\r?)?$/.test(line)
  );
}

function parseHead(text: string): RequestHead {
  const [first = "", ...fields] = text.split("\r\n");
  const [, method, target] = requestLine.exec(first) ?? [];
  if (method === undefined || target === undefined) throw malformed("no request line");
  let host: Host | undefined;
  let hosts = 0;
  for (const field of fields) {
    const [, name, value] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[\t ]*(.*?)[\t ]*$/.exec(field) ?? [];
    // eslint-disable-next-line no-control-regex -- control characters are what is looked for
    if (name === undefined || value === undefined || /[\0-\x08\x0a-\x1f\x7f]/.test(value)) {
      throw malformed("a line is no header field");
    }
    if (name.toLowerCase() !== "host") continue;
    hosts += 1;
    if (hosts > 1) throw malformed("two Host header fields");
    host = hostOfAuthority(value);
    if (host === undefined) throw malformed("Host names no host");
  }
  return { method, target, host, length: text.length + emptyLine.length };
}

function malformed(text: string): WireError {
  return new WireError("malformed_message", `not an HTTP request: ${text}`);
}

const requestLine = /^([A-Z]{1,20}) ([\x21-\x7e\x80-\xff]+) HTTP\/1\.[01]$/;
const emptyLine = "\r\n\r\n";
