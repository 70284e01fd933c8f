import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { releaseBuffer } from "@culvert/runtime";
import { carrierDefaults } from "./carrier-defaults.ts";
import {
  applyMask,
  webSocketHeaderLength,
  WebSocketOpcode,
  writeWebSocketHeader,
  type MakeMask,
} from "./web-socket-frame.ts";

/**
 * Writes messages on an open WebSocket (RFC 6455 §5), one write to the socket at a time. What waits meanwhile goes as one piece of memory
 * then: TLS copies together what it is given in several, and that into fresh memory each time.
 */
export class WebSocketSender {
  readonly #socket: Duplex;
  readonly #makeMask: MakeMask | undefined;
  readonly #written: () => void;
  /** A socket of the system does not look at what it was given once it has been written. */
  readonly #releases: boolean;
  readonly #mask = Buffer.alloc(4);
  #waiting: Message[] = [];
  #bufferedBytes = 0;
  #writing = false;
  #pinging = false;
  #pong: Uint8Array | undefined;

  /** `makeMask` where our frames must be masked. `written` is called whenever {@link bufferedBytes} has become less. */
  constructor(socket: Duplex, makeMask: MakeMask | undefined, written: () => void) {
    this.#socket = socket;
    this.#makeMask = makeMask;
    this.#written = written;
    this.#releases = socket instanceof Socket;
  }

  /** Bytes of messages not yet handed to the system. */
  get bufferedBytes(): number {
    return this.#bufferedBytes;
  }

  /** Sends each chunk as a binary message, or as several of a size that every peer takes. Their memory is needed until `sent` is called. */
  send(chunks: readonly Uint8Array[], sent: (() => void) | undefined): void {
    const { sentMessageBytes } = carrierDefaults;
    const last = chunks.length - 1;
    for (const [index, chunk] of chunks.entries()) {
      let rest = chunk;
      while (rest.length > sentMessageBytes) {
        this.#add(WebSocketOpcode.Binary, rest.subarray(0, sentMessageBytes), undefined);
        rest = rest.subarray(sentMessageBytes);
      }
      this.#add(WebSocketOpcode.Binary, rest, index === last ? sent : undefined);
    }
    this.#flush();
  }

  /** Asks for a pong. Of pings that wait for each other one is enough. */
  ping(): void {
    this.#pinging = true;
    this.#flush();
  }

  /** Answers a ping; of those that wait for each other the latest (RFC 6455 §5.5.3), so that a peer that does not read makes us keep no more. */
  pong(payload: Uint8Array): void {
    this.#pong = payload;
    this.#flush();
  }

  /** Sends the last frame, after everything before it. At most 123 bytes of text; no code, no text. */
  close(code: number | undefined, text: string, sent: () => void): void {
    const payload = Buffer.alloc(code === undefined ? 0 : 2 + Buffer.byteLength(text));
    if (code !== undefined) payload.write(text, payload.writeUInt16BE(code), "utf8");
    this.#add(WebSocketOpcode.Close, payload, sent);
    this.#flush();
  }

  #add(opcode: WebSocketOpcode, payload: Uint8Array, sent: (() => void) | undefined): void {
    this.#waiting.push({ opcode, payload, sent });
    this.#bufferedBytes += payload.length;
  }

  #flush(): void {
    if (this.#writing || !this.#socket.writable) return;
    const messages = this.#take();
    if (messages.length === 0) return;
    const bytes = this.#compose(messages);
    this.#writing = true;
    this.#socket.write(bytes, (error) => {
      // Then the socket says why, and it is over.
      if (error != null) return;
      this.#writing = false;
      if (this.#releases) releaseBuffer(bytes);
      for (const { payload } of messages) this.#bufferedBytes -= payload.length;
      for (const { sent } of messages) sent?.();
      this.#flush();
      this.#written();
    });
  }

  /** What is written next. Pings and pongs do not wait behind messages. */
  #take(): Message[] {
    const messages: Message[] = [];
    if (this.#pong !== undefined) messages.push(this.#control(WebSocketOpcode.Pong, this.#pong));
    if (this.#pinging) messages.push(this.#control(WebSocketOpcode.Ping, new Uint8Array(0)));
    this.#pong = undefined;
    this.#pinging = false;
    let bytes = 0;
    let count = 0;
    for (const { payload } of this.#waiting) {
      if (bytes >= maxWriteBytes) break;
      bytes += payload.length;
      count += 1;
    }
    return messages.concat(this.#waiting.splice(0, count));
  }

  #control(opcode: WebSocketOpcode, payload: Uint8Array): Message {
    this.#bufferedBytes += payload.length;
    return { opcode, payload, sent: undefined };
  }

  #compose(messages: readonly Message[]): Buffer {
    const masked = this.#makeMask !== undefined;
    let length = 0;
    for (const { payload } of messages) {
      length += webSocketHeaderLength(payload.length, masked) + payload.length;
    }
    const bytes = Buffer.allocUnsafe(length);
    let offset = 0;
    for (const { opcode, payload } of messages) {
      this.#makeMask?.(this.#mask);
      const frame = { opcode, payloadBytes: payload.length };
      offset = writeWebSocketHeader(bytes, offset, frame, masked ? this.#mask : undefined);
      bytes.set(payload, offset);
      const end = offset + payload.length;
      if (masked) applyMask(bytes.subarray(offset, end), this.#mask);
      offset = end;
    }
    return bytes;
  }
}

interface Message {
  readonly opcode: WebSocketOpcode;
  readonly payload: Uint8Array;
  readonly sent: (() => void) | undefined;
}

/** What one write holds: as much as is written ahead. */
const maxWriteBytes = carrierDefaults.highWaterBytes;
