import { WireError } from "@culvert/runtime";
import { decodeTipMessage } from "./decode-tip.ts";
import { tipDefaults } from "./defaults.ts";
import { tipVersion } from "./encode-tip.ts";
import type { Tip } from "./tip.ts";

/** What a decoder may be told to hold a peer to. */
export interface TipDecoderLimits {
  /** Largest message, bytes; 16,384 where not given. */
  readonly maxTipBytes?: number | undefined;
}

/** A tip, and the bytes of the same chunk that follow it and belong to the connection. */
export interface DecodedTip {
  /** Owns its bytes: it stays valid whatever becomes of the chunks. */
  readonly tip: Tip;
  /** A view on the chunk, valid as long as the chunk is. */
  readonly rest: Uint8Array;
}

/**
 * Reads one tip from bytes that arrive in any pieces (PROTOCOL.md §2). Keeps no more than the peer really sent and never more
 * than the limit. After a tip, or after an error, the decoder is dead.
 */
export class TipDecoder {
  readonly #maxTipBytes: number;
  #state: "version" | "length" | "message" | "dead" = "version";
  #length = 0;
  #lengthBytes = 0;
  #message: Uint8Array = new Uint8Array(0);
  #received = 0;

  constructor(limits: TipDecoderLimits = {}) {
    this.#maxTipBytes = limits.maxTipBytes ?? tipDefaults.maxTipBytes;
  }

  /** Bytes that are missing at the least; a reader that takes no more than this never takes bytes that follow the tip. */
  get missingBytes(): number {
    switch (this.#state) {
      case "version":
        return 2;
      case "length":
        return 1;
      case "message":
        return this.#length - this.#received;
      case "dead":
        return 0;
    }
  }

  /**
   * Takes the next bytes; returns the tip once it is complete, undefined before.
   * @throws WireError `unsupported_version`, `bad_varint`, `frame_too_large`, `malformed_message`, `unexpected_message`; and
   * `decoder_dead` for every push after a tip or an error.
   */
  push(chunk: Uint8Array): DecodedTip | undefined {
    if (this.#state === "dead") {
      throw new WireError("decoder_dead", "a tip decoder reads one tip and is dead after it");
    }
    try {
      return this.#take(chunk);
    } catch (error) {
      this.#die();
      throw error;
    }
  }

  #take(chunk: Uint8Array): DecodedTip | undefined {
    let offset = 0;
    for (; offset < chunk.length && this.#state !== "message"; offset += 1) {
      const byte = chunk[offset] ?? 0;
      if (this.#state === "version") this.#takeVersion(byte);
      else this.#takeLength(byte);
    }
    if (this.#state !== "message") return undefined;
    const end = Math.min(chunk.length, offset + this.#length - this.#received);
    this.#keep(chunk.subarray(offset, end));
    if (this.#received < this.#length) return undefined;
    const tip = decodeTipMessage(this.#message.subarray(0, this.#length));
    this.#die();
    return { tip, rest: chunk.subarray(end) };
  }

  #takeVersion(byte: number): void {
    if (byte !== tipVersion) {
      throw new WireError(
        "unsupported_version",
        `tip version ${byte}; only ${tipVersion} is known here`,
        { data: { version: byte, known: tipVersion } },
      );
    }
    this.#state = "length";
  }

  #takeLength(byte: number): void {
    this.#length |= (byte & 0x7f) << (7 * this.#lengthBytes);
    this.#lengthBytes += 1;
    if (byte > 0x7f) {
      if (this.#lengthBytes < maxLengthBytes) return;
      throw new WireError("bad_varint", `a length of more than ${maxLengthBytes} bytes`);
    }
    if (this.#length > this.#maxTipBytes) {
      throw new WireError(
        "frame_too_large",
        `a tip of ${this.#length} bytes; at most ${this.#maxTipBytes} are allowed`,
        { data: { length: this.#length, max: this.#maxTipBytes } },
      );
    }
    this.#state = "message";
  }

  /** Grows by doubling, so that a length alone, with nothing behind it, costs nothing. */
  #keep(bytes: Uint8Array): void {
    const needed = this.#received + bytes.length;
    if (needed > this.#message.length) {
      const capacity = Math.max(needed, Math.min(this.#length, this.#message.length * 2));
      const grown = new Uint8Array(capacity);
      grown.set(this.#message.subarray(0, this.#received));
      this.#message = grown;
    }
    this.#message.set(bytes, this.#received);
    this.#received = needed;
  }

  #die(): void {
    this.#state = "dead";
    this.#message = new Uint8Array(0);
  }
}

const maxLengthBytes = 3;
