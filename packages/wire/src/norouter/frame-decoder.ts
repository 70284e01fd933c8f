import { WireError } from "@culvert/runtime";
import { frameType, norouterDefaults, type NorouterFrame } from "./frame.ts";
import { countedHeaderBytes, frameHeaderBytes, frameMagic } from "./frame-layout.ts";

/** What a decoder may be told to hold a peer to; {@link norouterDefaults} where not given. */
export interface FrameDecoderLimits {
  readonly maxPacketBytes?: number | undefined;
  readonly maxJsonBytes?: number | undefined;
}

/**
 * Reads NoRouter's frames from bytes that arrive in any pieces (NOROUTER.md §1). What a header announces is held against the
 * limits before anything is kept for it. After an error the decoder is dead: there is no way to find the next frame.
 */
export class FrameDecoder {
  readonly #maxPacketBytes: number;
  readonly #maxJsonBytes: number;
  readonly #header = new Uint8Array(frameHeaderBytes);
  #headerBytes = 0;
  /** The frame that began in an earlier chunk, and how much of its payload has come. */
  #pending: NorouterFrame | undefined;
  #pendingBytes = 0;
  #dead = false;

  constructor(limits: FrameDecoderLimits = {}) {
    this.#maxPacketBytes = limits.maxPacketBytes ?? norouterDefaults.maxPacketBytes;
    this.#maxJsonBytes = limits.maxJsonBytes ?? norouterDefaults.maxJsonBytes;
  }

  /**
   * Takes the next bytes and returns the frames they complete. A payload that lies whole in the chunk is a view on it, valid as
   * long as the chunk is; any other is the receiver's own.
   * @throws WireError `malformed_message` (not a frame: wrong magic, a length below 4), `frame_too_large`; the frames before it
   * in the chunk are lost with it. And `decoder_dead` for every push after that.
   */
  push(chunk: Uint8Array): NorouterFrame[] {
    this.#checkAlive();
    const frames: NorouterFrame[] = [];
    try {
      for (let offset = 0; offset < chunk.length;) {
        offset =
          this.#pending === undefined
            ? this.#takeHeader(chunk, offset, frames)
            : this.#takePayload(this.#pending, chunk, offset, frames);
      }
    } catch (error) {
      this.#dead = true;
      throw error;
    }
    return frames;
  }

  /**
   * Tells that no more bytes come.
   * @throws WireError `truncated` where they end within a frame.
   */
  end(): void {
    this.#checkAlive();
    this.#dead = true;
    if (this.#headerBytes === 0) return;
    throw new WireError("truncated", "the stream ended within a NoRouter frame");
  }

  /** Reads a header from `offset`, and the payload where it is all there; returns where the next bytes begin. */
  #takeHeader(chunk: Uint8Array, offset: number, frames: NorouterFrame[]): number {
    if (this.#headerBytes === 0 && chunk.length - offset >= frameHeaderBytes) {
      return this.#startFrame(chunk, offset, chunk, offset + frameHeaderBytes, frames);
    }
    const end = Math.min(chunk.length, offset + frameHeaderBytes - this.#headerBytes);
    this.#header.set(chunk.subarray(offset, end), this.#headerBytes);
    this.#headerBytes += end - offset;
    // A stream that never was one of frames is told from its first byte: text of a login shell may be shorter than a header.
    checkMagic(this.#header[0]);
    // And a length that cannot be from its last byte: whoever sent it may send no more.
    if (this.#headerBytes >= lengthBytes) payloadLength(lengthAt(this.#header, 0));
    if (this.#headerBytes < frameHeaderBytes) return end;
    return this.#startFrame(this.#header, 0, chunk, end, frames);
  }

  #startFrame(
    header: Uint8Array,
    at: number,
    chunk: Uint8Array,
    offset: number,
    frames: NorouterFrame[],
  ): number {
    checkMagic(header[at]);
    const byte = (index: number): number => header[at + index] ?? 0;
    const type = byte(4) * 0x100 + byte(5);
    const length = payloadLength(lengthAt(header, at));
    const reserved = byte(6) * 0x100 + byte(7);
    this.#checkLength(type, length);
    const end = offset + length;
    if (end <= chunk.length) {
      frames.push({ type, reserved, payload: chunk.subarray(offset, end) });
      this.#headerBytes = 0;
      return end;
    }
    this.#headerBytes = frameHeaderBytes;
    this.#pending = { type, reserved, payload: new Uint8Array(length) };
    this.#pendingBytes = 0;
    return offset;
  }

  #takePayload(
    frame: NorouterFrame,
    chunk: Uint8Array,
    offset: number,
    frames: NorouterFrame[],
  ): number {
    const end = Math.min(chunk.length, offset + frame.payload.length - this.#pendingBytes);
    frame.payload.set(chunk.subarray(offset, end), this.#pendingBytes);
    this.#pendingBytes += end - offset;
    if (this.#pendingBytes === frame.payload.length) {
      frames.push(frame);
      this.#pending = undefined;
      this.#headerBytes = 0;
    }
    return end;
  }

  #checkLength(type: number, length: number): void {
    const max = type === frameType.json ? this.#maxJsonBytes : this.#maxPacketBytes;
    if (length <= max) return;
    throw new WireError(
      "frame_too_large",
      `a NoRouter frame of type ${type} with ${length} bytes of payload; at most ${max} are allowed`,
      { data: { type, length, max } },
    );
  }

  #checkAlive(): void {
    if (this.#dead) {
      throw new WireError("decoder_dead", "a NoRouter decoder is dead after its first error");
    }
  }
}

function checkMagic(byte: number | undefined): void {
  if (byte === frameMagic) return;
  throw new WireError(
    "malformed_message",
    `a NoRouter frame begins with 0x42, not with 0x${(byte ?? 0).toString(16).padStart(2, "0")}`,
    { data: { magic: byte } },
  );
}

/** The length in the header that begins at `at`. */
function lengthAt(header: Uint8Array, at: number): number {
  const byte = (index: number): number => header[at + index] ?? 0;
  return byte(1) * 0x1_00_00 + byte(2) * 0x100 + byte(3);
}

function payloadLength(length: number): number {
  if (length >= countedHeaderBytes) return length - countedHeaderBytes;
  throw new WireError(
    "malformed_message",
    `a NoRouter frame of length ${length}; its type and reserved bytes alone are ${countedHeaderBytes}`,
    { data: { length } },
  );
}

/** Magic and length. */
const lengthBytes = 4;
