import { isUtf8 } from "node:buffer";
import { WireError } from "@culvert/runtime";
import {
  applyMask,
  maxControlFrameBytes,
  WebSocketCloseCode,
  WebSocketOpcode,
} from "./web-socket-frame.ts";

/** What a peer's frames turn into, in order. All memory is the reader's own. */
export type WebSocketEvent =
  /** The next bytes of binary messages, wherever those begin and end. Never empty. */
  | { readonly type: "bytes"; readonly bytes: Uint8Array }
  | { readonly type: "ping" | "pong"; readonly payload: Uint8Array }
  /** The peer's last frame. Without a code, undefined. */
  | { readonly type: "close"; readonly code: number | undefined; readonly text: string };

/** Who the peer is, and what it may send. */
export interface WebSocketDecoderOptions {
  /** Whether the peer dialled: such a one must mask its frames, and any other must not (RFC 6455 §5.1). */
  readonly peerMasks: boolean;
  /** Most bytes of one message, all its fragments together. */
  readonly maxMessageBytes: number;
}

/**
 * Reads what a peer sends on an open WebSocket without extensions (RFC 6455 §5) from bytes that arrive in any pieces. Text is refused. A
 * frame is held against every rule when its header is complete, but for the one that its length be said in the fewest bytes (§5.2), which
 * PROTOCOL.md §12.1 lets be; of its payload at most {@link maxPieceBytes} are kept together. Chunks are copied from, never kept. After an
 * error the decoder is dead; after a close frame it takes no notice of anything.
 */
export class WebSocketDecoder {
  readonly #peerMasks: boolean;
  readonly #maxMessageBytes: number;
  /** Two bytes, up to eight of length, four of mask. */
  readonly #header = Buffer.alloc(14);
  #headerBytes = 0;
  #headerLength = 2;
  #opcode = 0;
  #payloadLeft = 0;
  /** What of the payload is kept together, and how much of it has come. */
  #piece: Buffer | undefined;
  #pieceBytes = 0;
  /** Whether the next frame of data continues a message. */
  #inMessage = false;
  #messageBytes = 0;
  #state: "open" | "closed" | "dead" = "open";

  constructor({ peerMasks, maxMessageBytes }: WebSocketDecoderOptions) {
    this.#peerMasks = peerMasks;
    this.#maxMessageBytes = maxMessageBytes;
  }

  /**
   * Takes the next bytes.
   * @throws WireError whose {@link closeCodeOf} is what the peer is to be told; what came before it in the chunk is lost with it. And
   * `decoder_dead` for every push after that.
   */
  push(chunk: Uint8Array): WebSocketEvent[] {
    if (this.#state === "dead") {
      throw new WireError("decoder_dead", "a WebSocket decoder is dead after its first error");
    }
    const events: WebSocketEvent[] = [];
    try {
      for (let offset = 0; offset < chunk.length && this.#state === "open";) {
        offset =
          this.#piece === undefined
            ? this.#takeHeader(chunk, offset, events)
            : this.#takePayload(this.#piece, chunk, offset, events);
      }
    } catch (error) {
      this.#state = "dead";
      this.#piece = undefined;
      throw error;
    }
    return events;
  }

  #takeHeader(chunk: Uint8Array, start: number, events: WebSocketEvent[]): number {
    let offset = start;
    while (offset < chunk.length) {
      this.#header[this.#headerBytes] = chunk[offset] ?? 0;
      this.#headerBytes += 1;
      offset += 1;
      if (this.#headerBytes === 2) this.#headerLength = this.#checkStart();
      if (this.#headerBytes === this.#headerLength) {
        this.#startPayload(events);
        break;
      }
    }
    return offset;
  }

  /** What the first two bytes say; returns how long the header is. */
  #checkStart(): number {
    const first = this.#header.readUInt8(0);
    const second = this.#header.readUInt8(1);
    const length = second & 0x7f;
    const opcode = first & 0x0f;
    if ((first & 0x70) !== 0) throw fault("a reserved bit is set");
    if (opcode >= WebSocketOpcode.Close) checkControl(opcode, (first & 0x80) !== 0, length);
    else this.#checkData(opcode);
    if (second >= 0x80 !== this.#peerMasks) {
      throw fault(this.#peerMasks ? "a frame without a mask" : "a frame with a mask");
    }
    this.#opcode = opcode;
    return 2 + (length === 127 ? 8 : length === 126 ? 2 : 0) + (this.#peerMasks ? 4 : 0);
  }

  #checkData(opcode: number): void {
    if (opcode === WebSocketOpcode.Text) {
      const text = "the peer sent text where only binary messages are allowed";
      throw new WireError("unexpected_message", text, {
        data: { closeCode: WebSocketCloseCode.Unsupported },
      });
    }
    if (opcode > WebSocketOpcode.Binary) throw fault(`the unknown opcode ${opcode}`);
    if ((opcode === WebSocketOpcode.Continuation) !== this.#inMessage) {
      throw fault(this.#inMessage ? "a message within a message" : "a continuation of nothing");
    }
  }

  #startPayload(events: WebSocketEvent[]): void {
    const length = this.#length();
    if (this.#opcode < WebSocketOpcode.Close) {
      this.#messageBytes += length;
      if (this.#messageBytes > this.#maxMessageBytes) throw this.#tooLarge();
      this.#inMessage = this.#header.readUInt8(0) < 0x80;
      if (!this.#inMessage) this.#messageBytes = 0;
    }
    this.#headerBytes = 0;
    this.#payloadLeft = length;
    if (length > 0) this.#newPiece();
    else if (this.#opcode >= WebSocketOpcode.Close) this.#control(Buffer.alloc(0), events);
  }

  #length(): number {
    const length = this.#header.readUInt8(1) & 0x7f;
    if (length === 126) return this.#header.readUInt16BE(2);
    if (length < 126) return length;
    const high = this.#header.readUInt32BE(2);
    if (high >= 2 ** 31) throw fault("a length of 64 bits");
    return high * 2 ** 32 + this.#header.readUInt32BE(6);
  }

  #tooLarge(): WireError {
    const data = { closeCode: WebSocketCloseCode.TooLarge, max: this.#maxMessageBytes };
    const text = `a message of ${this.#messageBytes} bytes or more; at most ${this.#maxMessageBytes} are allowed`;
    return new WireError("frame_too_large", text, { data });
  }

  #newPiece(): void {
    this.#piece = Buffer.allocUnsafe(Math.min(this.#payloadLeft, maxPieceBytes));
    this.#pieceBytes = 0;
  }

  #takePayload(piece: Buffer, chunk: Uint8Array, offset: number, events: WebSocketEvent[]): number {
    const end = Math.min(chunk.length, offset + piece.length - this.#pieceBytes);
    const whole = offset === 0 && end === chunk.length;
    piece.set(whole ? chunk : chunk.subarray(offset, end), this.#pieceBytes);
    this.#pieceBytes += end - offset;
    if (this.#pieceBytes < piece.length) return end;
    this.#piece = undefined;
    this.#payloadLeft -= piece.length;
    if (this.#peerMasks) {
      applyMask(piece, this.#header.subarray(this.#headerLength - 4, this.#headerLength));
    }
    if (this.#payloadLeft > 0) this.#newPiece();
    if (this.#opcode >= WebSocketOpcode.Close) this.#control(piece, events);
    else events.push({ type: "bytes", bytes: piece });
    return end;
  }

  #control(payload: Buffer, events: WebSocketEvent[]): void {
    if (this.#opcode === WebSocketOpcode.Close) {
      events.push(closeEvent(payload));
      this.#state = "closed";
    } else {
      events.push({ type: this.#opcode === WebSocketOpcode.Ping ? "ping" : "pong", payload });
    }
  }
}

/** What the peer is to be told of an error of the decoder. */
export function closeCodeOf(error: unknown): number {
  const code = error instanceof WireError ? error.data["closeCode"] : undefined;
  return typeof code === "number" ? code : WebSocketCloseCode.Protocol;
}

/** Most bytes of a payload that wait for each other; the largest body of a frame that our senders make. */
export const maxPieceBytes = 64 * 1024;

function checkControl(opcode: number, whole: boolean, length: number): void {
  if (opcode > WebSocketOpcode.Pong) throw fault(`the unknown opcode ${opcode}`);
  if (!whole) throw fault("a control frame in fragments");
  if (length > maxControlFrameBytes) throw fault("a control frame of more than 125 bytes");
  if (opcode === WebSocketOpcode.Close && length === 1) throw fault("half a close code");
}

function closeEvent(payload: Buffer): WebSocketEvent {
  if (payload.length === 0) return { type: "close", code: undefined, text: "" };
  const code = payload.readUInt16BE(0);
  if (!isCloseCode(code)) throw fault(`the close code ${code}`);
  const text = payload.subarray(2);
  if (!isUtf8(text)) {
    throw new WireError("malformed_message", "a reason that is no UTF-8", {
      data: { closeCode: WebSocketCloseCode.BadText },
    });
  }
  return { type: "close", code, text: text.toString("utf8") };
}

/** Codes that may be sent: those that are assigned, and those of libraries and applications (RFC 6455 §7.4). */
function isCloseCode(code: number): boolean {
  if (code >= 3000) return code < 5000;
  return code >= 1000 && code <= 1014 && !(code >= 1004 && code <= 1006);
}

function fault(text: string): WireError {
  return new WireError("malformed_message", `the peer broke RFC 6455: ${text}`, {
    data: { closeCode: WebSocketCloseCode.Protocol },
  });
}
