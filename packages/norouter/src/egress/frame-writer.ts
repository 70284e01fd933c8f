import type { Writable } from "node:stream";
import { encodeFrame, frameType } from "@culvert/wire";

/** How much may wait for a reader that is slow; {@link egressDefaults} where not given. */
export interface EgressLimits {
  readonly maxBytes?: number | undefined;
  readonly maxFrames?: number | undefined;
}

/** What became of the frames given to a {@link FrameWriter}. */
export interface EgressStats {
  readonly frames: number;
  readonly bytes: number;
  readonly droppedFrames: number;
  readonly droppedBytes: number;
  /** Bytes that wait now. */
  readonly queuedBytes: number;
}

/** The bounds where none are given: a queue that a TCP window fills, not one that hides a reader which is stuck. */
export const egressDefaults = { maxBytes: 16 * 1024 * 1024, maxFrames: 4_096 } as const;

/**
 * Writes frames to the standard input of an agent, or to our own standard output where we are one. Never waits: what does not fit
 * into the queue is dropped and counted, and the TCP inside repairs it, so that a reader which is stuck stalls nobody else. The
 * frames of one turn of the event loop are one write. The stream is not owned; its error listener is its owner's matter.
 */
export class FrameWriter {
  readonly #stream: Writable;
  readonly #maxBytes: number;
  readonly #maxFrames: number;
  #queuedFrames = 0;
  #corked = false;
  #frames = 0;
  #bytes = 0;
  #droppedFrames = 0;
  #droppedBytes = 0;

  constructor(stream: Writable, limits: EgressLimits = {}) {
    this.#stream = stream;
    this.#maxBytes = limits.maxBytes ?? egressDefaults.maxBytes;
    this.#maxFrames = limits.maxFrames ?? egressDefaults.maxFrames;
  }

  /** Sends a packet, which is copied. Returns false where it was dropped: no room, or the stream has ended. */
  sendPacket(packet: Uint8Array, reserved = 0): boolean {
    return this.#send(frameType.l3, packet, reserved);
  }

  /** Sends the payload of a JSON message; as {@link sendPacket}. */
  sendMessage(payload: Uint8Array): boolean {
    return this.#send(frameType.json, payload, 0);
  }

  /** What was sent and dropped so far. */
  stats(): EgressStats {
    return {
      frames: this.#frames,
      bytes: this.#bytes,
      droppedFrames: this.#droppedFrames,
      droppedBytes: this.#droppedBytes,
      queuedBytes: this.#stream.writableLength,
    };
  }

  #send(type: number, payload: Uint8Array, reserved: number): boolean {
    if (!this.#hasRoom(payload.length)) {
      this.#droppedFrames += 1;
      this.#droppedBytes += payload.length;
      return false;
    }
    this.#frames += 1;
    this.#bytes += payload.length;
    this.#queuedFrames += 1;
    this.#corkForThisTurn();
    this.#stream.write(encodeFrame(type, payload, reserved), this.#onWritten);
    return true;
  }

  #hasRoom(length: number): boolean {
    const { writable, writableLength } = this.#stream;
    return (
      writable &&
      this.#queuedFrames < this.#maxFrames &&
      // A frame that is longer than the whole queue may be all that is in it.
      (writableLength === 0 || writableLength + length <= this.#maxBytes)
    );
  }

  #corkForThisTurn(): void {
    if (this.#corked) return;
    this.#corked = true;
    this.#stream.cork();
    process.nextTick(() => {
      this.#corked = false;
      this.#stream.uncork();
    });
  }

  readonly #onWritten = (): void => {
    this.#queuedFrames -= 1;
  };
}
