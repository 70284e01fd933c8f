import { WireError } from "@culvert/runtime";
import { decodeFrameHeader } from "./decode-frame-header.ts";
import {
  mproxyDefaults,
  mproxyVersionByte,
  type MproxyFrame,
  type MproxyFrameKind,
} from "./mproxy-frame.ts";

/** What a decoder may be told to hold a peer to; {@link mproxyDefaults} where not given. */
export interface MproxyDecoderLimits {
  readonly maxBodyBytes?: number | undefined;
  readonly maxControlBytes?: number | undefined;
  readonly maxErrorBytes?: number | undefined;
}

/**
 * What bytes of a tunnel turn into, in order: `frame` once its header is complete, `body` for each piece of its body as it comes,
 * `end` after its last byte. A frame without a body has no `body`.
 */
export type MproxyEvent =
  | { readonly type: "frame"; readonly frame: MproxyFrame }
  /** A view on the chunk, valid as long as the chunk is. Never empty. */
  | { readonly type: "body"; readonly bytes: Uint8Array }
  | { readonly type: "end" };

/**
 * Reads frames of M-PROXY from bytes that arrive in any pieces. Keeps at most one header; bodies stream through. What a frame
 * announces is held against the limits when its header is complete. After an error the decoder is dead.
 */
export class MproxyDecoder {
  readonly #limits: Record<MproxyFrameKind, number>;
  readonly #header = new Uint8Array(255);
  #state: "version" | "length" | "header" | "body" | "dead" = "version";
  #headerBytes = 0;
  #received = 0;
  #bodyLeft = 0;
  /** The last header and what it said: bulk comes as frames with the same header again and again. */
  #lastHeader = new Uint8Array(0);
  #lastFrame: MproxyFrame | undefined;

  constructor(limits: MproxyDecoderLimits = {}) {
    const defaults = mproxyDefaults;
    const maxBodyBytes = limits.maxBodyBytes ?? defaults.maxBodyBytes;
    this.#limits = {
      data: maxBodyBytes,
      connection: maxBodyBytes,
      control: limits.maxControlBytes ?? defaults.maxControlBytes,
      error: limits.maxErrorBytes ?? defaults.maxErrorBytes,
      end: defaults.maxNumberBytes,
      pause: defaults.maxNumberBytes,
      resume: defaults.maxNumberBytes,
    };
  }

  /** Whether the bytes so far end with a frame, so that nothing is cut off if no more come. */
  get atBoundary(): boolean {
    return this.#state === "version";
  }

  /**
   * Takes the next bytes.
   * @throws WireError `unsupported_version`, `malformed_message`, `frame_too_large`; what came before it in the chunk is lost with it.
   * And `decoder_dead` for every push after that.
   */
  push(chunk: Uint8Array): MproxyEvent[] {
    if (this.#state === "dead") {
      throw new WireError("decoder_dead", "an M-PROXY decoder is dead after its first error");
    }
    const events: MproxyEvent[] = [];
    try {
      for (let offset = 0; offset < chunk.length;) offset = this.#take(chunk, offset, events);
    } catch (error) {
      this.#state = "dead";
      throw error;
    }
    return events;
  }

  /** Takes one step's bytes from `offset`; returns where the next begin. */
  #take(chunk: Uint8Array, offset: number, events: MproxyEvent[]): number {
    switch (this.#state) {
      case "version":
        checkVersion(chunk[offset]);
        this.#state = "length";
        return offset + 1;
      case "length":
        this.#headerBytes = chunk[offset] ?? 0;
        if (this.#headerBytes === 0) throw new WireError("malformed_message", "an empty header");
        this.#received = 0;
        this.#state = "header";
        return offset + 1;
      case "header":
        return this.#takeHeader(chunk, offset, events);
      default:
        return this.#takeBody(chunk, offset, events);
    }
  }

  #takeHeader(chunk: Uint8Array, offset: number, events: MproxyEvent[]): number {
    const end = Math.min(chunk.length, offset + this.#headerBytes - this.#received);
    const part = chunk.subarray(offset, end);
    // A header that came in one piece, as nearly all do, is read where it is.
    if (part.length === this.#headerBytes) this.#startBody(part, events);
    else {
      this.#header.set(part, this.#received);
      this.#received += part.length;
      if (this.#received === this.#headerBytes) {
        this.#startBody(this.#header.subarray(0, this.#headerBytes), events);
      }
    }
    return end;
  }

  #startBody(header: Uint8Array, events: MproxyEvent[]): void {
    const frame = this.#decode(header);
    const max = this.#limits[frame.kind];
    if (frame.length > max) {
      throw new WireError(
        "frame_too_large",
        `a ${frame.kind} frame of ${frame.length} bytes; at most ${max} are allowed`,
        { data: { kind: frame.kind, length: frame.length, max } },
      );
    }
    this.#bodyLeft = frame.length;
    this.#state = frame.length === 0 ? "version" : "body";
    events.push({ type: "frame", frame });
    if (frame.length === 0) events.push(frameEnd);
  }

  #decode(header: Uint8Array): MproxyFrame {
    if (this.#lastFrame !== undefined && same(header, this.#lastHeader)) return this.#lastFrame;
    this.#lastFrame = decodeFrameHeader(header);
    // A Buffer's own slice would be a view on the chunk.
    this.#lastHeader = new Uint8Array(header);
    return this.#lastFrame;
  }

  #takeBody(chunk: Uint8Array, offset: number, events: MproxyEvent[]): number {
    const end = Math.min(chunk.length, offset + this.#bodyLeft);
    const whole = offset === 0 && end === chunk.length;
    events.push({ type: "body", bytes: whole ? chunk : chunk.subarray(offset, end) });
    this.#bodyLeft -= end - offset;
    if (this.#bodyLeft === 0) {
      this.#state = "version";
      events.push(frameEnd);
    }
    return end;
  }
}

function same(left: Uint8Array, right: Uint8Array): boolean {
  if (left.length !== right.length) return false;
  for (let index = 0; index < left.length; index += 1) {
    if (left[index] !== right[index]) return false;
  }
  return true;
}

function checkVersion(byte: number | undefined): void {
  if (byte === mproxyVersionByte) return;
  throw new WireError(
    "unsupported_version",
    `version byte ${byte ?? 0}; only ${mproxyVersionByte} is known here`,
    { data: { version: byte, known: mproxyVersionByte } },
  );
}

const frameEnd: MproxyEvent = { type: "end" };
