import { WireError } from "@culvert/runtime";
import { hostOf } from "../http/host.ts";

/** What a relay may know of a TLS connection without decrypting anything. */
export interface ClientHello {
  /** The name asked for (RFC 6066 §3): a lower-case host name; undefined where there is none, or an address. */
  readonly serverName: string | undefined;
  /** Protocols the client offers by ALPN (RFC 7301), in its order; empty where it offers none. */
  readonly alpn: readonly string[];
}

/** What a {@link ClientHelloReader} may be told to hold a client to. */
export interface ClientHelloLimits {
  /** Most bytes until the hello is complete, record headers included; 16,384 where not given. */
  readonly maxBytes?: number | undefined;
}

/**
 * Reads a TLS ClientHello (RFC 8446 §4.1.2, RFC 5246 §7.4.1.2) from bytes that arrive in any pieces and in any number of TLS
 * records. Pure; keeps no more than the client sent and never more than its limit. After a hello, or after an error, the reader
 * is dead. The caller keeps the bytes it pushed: they belong to who ends TLS.
 */
export class ClientHelloReader {
  readonly #maxBytes: number;
  readonly #header = new Uint8Array(recordHeaderBytes);
  #hello: Uint8Array = new Uint8Array(512);
  #helloBytes = 0;
  #headerBytes = 0;
  #recordLeft = 0;
  #received = 0;
  #dead = false;

  constructor(limits: ClientHelloLimits = {}) {
    this.#maxBytes = limits.maxBytes ?? 16_384;
  }

  /**
   * Takes the next bytes; returns the hello once it is complete, undefined before. What follows the hello is not looked at.
   * @throws WireError `malformed_message`, `frame_too_large`; and `decoder_dead` for every push after a hello or an error.
   */
  push(chunk: Uint8Array): ClientHello | undefined {
    if (this.#dead) throw new WireError("decoder_dead", "a ClientHello reader reads one hello");
    try {
      const hello = this.#take(chunk);
      if (hello !== undefined) this.#die();
      return hello;
    } catch (error) {
      this.#die();
      throw error;
    }
  }

  #take(chunk: Uint8Array): ClientHello | undefined {
    let offset = 0;
    while (offset < chunk.length) {
      const start = offset;
      if (this.#recordLeft === 0) {
        this.#takeHeaderByte(chunk[offset] ?? 0);
        offset += 1;
      } else {
        const end = Math.min(chunk.length, offset + this.#recordLeft);
        this.#keep(chunk.subarray(offset, end));
        this.#recordLeft -= end - offset;
        offset = end;
      }
      this.#received += offset - start;
      const total = this.#helloLength();
      if (total !== undefined && this.#helloBytes >= total) {
        return parseHello(this.#hello.subarray(handshakeHeaderBytes, total));
      }
      if (this.#received >= this.#maxBytes) throw tooLarge(this.#received + 1, this.#maxBytes);
    }
    return undefined;
  }

  #takeHeaderByte(byte: number): void {
    this.#header[this.#headerBytes++] = byte;
    if (this.#headerBytes === 1 && byte !== handshakeRecord) {
      throw malformed(`a TLS connection does not begin with record type ${byte}`);
    }
    if (this.#headerBytes === 2 && byte !== 3) throw malformed(`TLS version ${byte}.x`);
    if (this.#headerBytes < recordHeaderBytes) return;
    this.#recordLeft = readUint16(this.#header, 3);
    this.#headerBytes = 0;
    if (this.#recordLeft === 0) throw malformed("an empty handshake record");
    if (this.#recordLeft > maxRecordBytes) throw tooLarge(this.#recordLeft, maxRecordBytes);
  }

  /** Grows by doubling, so that a length alone, with nothing behind it, costs nothing. */
  #keep(bytes: Uint8Array): void {
    const needed = this.#helloBytes + bytes.length;
    if (needed > this.#hello.length) {
      const grown = new Uint8Array(Math.max(needed, this.#hello.length * 2));
      grown.set(this.#hello.subarray(0, this.#helloBytes));
      this.#hello = grown;
    }
    this.#hello.set(bytes, this.#helloBytes);
    this.#helloBytes = needed;
  }

  /** Length of the whole handshake message, once its header is here. */
  #helloLength(): number | undefined {
    if (this.#helloBytes === 0) return undefined;
    if (this.#hello[0] !== clientHello) {
      throw malformed(`a TLS connection does not begin with handshake type ${this.#hello[0] ?? 0}`);
    }
    if (this.#helloBytes < handshakeHeaderBytes) return undefined;
    const length = ((this.#hello[1] ?? 0) << 16) | readUint16(this.#hello, 2);
    if (length > this.#maxBytes) throw tooLarge(length, this.#maxBytes);
    return handshakeHeaderBytes + length;
  }

  #die(): void {
    this.#dead = true;
    this.#hello = new Uint8Array(0);
  }
}

function parseHello(bytes: Uint8Array): ClientHello {
  const body = new Cursor(bytes);
  body.skip(2 + 32, "version and random");
  body.vector(1, "session id");
  body.vector(2, "cipher suites");
  body.vector(1, "compression methods");
  let serverName: string | undefined;
  let alpn: readonly string[] = [];
  if (body.atEnd()) return { serverName, alpn };
  const extensions = new Cursor(body.vector(2, "extensions"));
  if (!body.atEnd()) throw malformed("bytes behind the extensions");
  const seen = new Set<number>();
  while (!extensions.atEnd()) {
    const type = extensions.uint16("extension type");
    const extension = extensions.vector(2, "extension");
    // RFC 8446 §4.2; two names would let two readers see two destinations.
    if (seen.has(type)) throw malformed(`extension ${type} twice`);
    seen.add(type);
    if (type === serverNameExtension) serverName = parseServerName(extension);
    if (type === alpnExtension) alpn = parseAlpn(extension);
  }
  return { serverName, alpn };
}

function parseServerName(extension: Uint8Array): string | undefined {
  const outer = new Cursor(extension);
  const list = new Cursor(outer.vector(2, "server names"));
  if (!outer.atEnd()) throw malformed("bytes behind the server names");
  let name: string | undefined;
  while (!list.atEnd()) {
    const type = list.uint8("server name type");
    const bytes = list.vector(2, "server name");
    if (type !== 0) continue;
    if (name !== undefined) throw malformed("two host names");
    name = ascii(bytes);
  }
  if (name === undefined) throw malformed("server names without a host name");
  const host = hostOf(name);
  if (host === undefined) throw malformed("the server name is no host name");
  return host.kind === "name" ? host.name : undefined;
}

function parseAlpn(extension: Uint8Array): readonly string[] {
  const outer = new Cursor(extension);
  const list = new Cursor(outer.vector(2, "protocols"));
  const protocols: string[] = [];
  while (!list.atEnd()) protocols.push(ascii(list.vector(1, "protocol")));
  return protocols;
}

function ascii(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

function readUint16(bytes: Uint8Array, offset: number): number {
  return ((bytes[offset] ?? 0) << 8) | (bytes[offset + 1] ?? 0);
}

/** Reads big-endian numbers and length-prefixed vectors, and never past the end. */
class Cursor {
  readonly #bytes: Uint8Array;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  atEnd(): boolean {
    return this.#offset === this.#bytes.length;
  }

  skip(length: number, what: string): Uint8Array {
    const end = this.#offset + length;
    if (end > this.#bytes.length) throw malformed(`the ${what} is cut short`);
    const bytes = this.#bytes.subarray(this.#offset, end);
    this.#offset = end;
    return bytes;
  }

  uint8(what: string): number {
    return this.skip(1, what)[0] ?? 0;
  }

  uint16(what: string): number {
    return readUint16(this.skip(2, what), 0);
  }

  vector(lengthBytes: 1 | 2, what: string): Uint8Array {
    return this.skip(lengthBytes === 1 ? this.uint8(what) : this.uint16(what), what);
  }
}

function malformed(text: string): WireError {
  return new WireError("malformed_message", `not a ClientHello: ${text}`);
}

function tooLarge(length: number, max: number): WireError {
  const text = `a ClientHello of ${length} bytes or more; at most ${max} are allowed`;
  return new WireError("frame_too_large", text, { data: { length, max } });
}

const recordHeaderBytes = 5;
const handshakeHeaderBytes = 4;
const maxRecordBytes = 16_384;
const handshakeRecord = 22;
const clientHello = 1;
const serverNameExtension = 0;
const alpnExtension = 16;
