import type { Writable } from "node:stream";
import { encodeFrame, frameType } from "@culvert/wire";

/** How much may wait for a reader that is slow; {@link egressDefaults} where not given. */
export interface EgressLimits {
  /** Of packets. */
  readonly maxBytes?: number | undefined;
  /** Packets. */
  readonly maxFrames?: number | undefined;
  readonly maxMessageBytes?: number | undefined;
  readonly maxMessages?: number | undefined;
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

/**
 * The bounds where none are given. Of packets, a queue that a TCP window fills, not one that hides a reader which is stuck; of messages,
 * far more than a reader that lives leaves waiting.
 */
export const egressDefaults = {
  maxBytes: 16 * 1024 * 1024,
  maxFrames: 4_096,
  maxMessageBytes: 1024 * 1024,
  maxMessages: 256,
} as const;

/**
 * Writes frames to the standard input of an agent, or to our own standard output where we are one. Never waits: a packet that does not
 * fit into the queue is dropped and counted, and the TCP inside repairs it, so that a reader which is stuck stalls nobody else. Nothing
 * repairs a message, which is why messages have a bound of their own, whatever packets wait. The frames of one turn of the event loop are
 * one write, in the order they came. The stream is not owned; its error listener is its owner's matter.
 */
export class FrameWriter {
  readonly #stream: Writable;
  readonly #limits: Required<{ [K in keyof EgressLimits]: number }>;
  #queuedPackets = 0;
  #queuedMessages = 0;
  /** As they are in the stream, headers included. */
  #queuedMessageBytes = 0;
  #corked = false;
  #frames = 0;
  #bytes = 0;
  #takenFrames = 0;
  #droppedFrames = 0;
  #droppedBytes = 0;

  constructor(stream: Writable, limits: EgressLimits = {}) {
    this.#stream = stream;
    const { maxBytes, maxFrames, maxMessageBytes, maxMessages } = egressDefaults;
    this.#limits = {
      maxBytes: limits.maxBytes ?? maxBytes,
      maxFrames: limits.maxFrames ?? maxFrames,
      maxMessageBytes: limits.maxMessageBytes ?? maxMessageBytes,
      maxMessages: limits.maxMessages ?? maxMessages,
    };
  }

  /** Sends a packet, which is copied. Returns false where it was dropped: no room, or the stream has ended. */
  sendPacket(packet: Uint8Array, reserved = 0): boolean {
    if (!this.#hasRoomForPacket(packet.length)) return this.#drop(packet.length);
    this.#queuedPackets += 1;
    this.#write(encodeFrame(frameType.l3, packet, reserved), packet.length, this.#onPacketWritten);
    return true;
  }

  /**
   * Sends the payload of a JSON message, behind the packets before it. Returns false where it was dropped: the stream has ended, or too
   * many messages wait. A message that is longer than their bound may be all that wait.
   */
  sendMessage(payload: Uint8Array): boolean {
    const frame = encodeFrame(frameType.json, payload);
    if (!this.#hasRoomForMessage(frame.length)) return this.#drop(payload.length);
    this.#queuedMessages += 1;
    this.#queuedMessageBytes += frame.length;
    this.#write(frame, payload.length, () => {
      this.#takenFrames += 1;
      this.#queuedMessages -= 1;
      this.#queuedMessageBytes -= frame.length;
    });
    return true;
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

  /** Frames that have left the queue so far: the other end reads as long as there come to be more of them. */
  get takenFrames(): number {
    return this.#takenFrames;
  }

  #hasRoomForPacket(length: number): boolean {
    const { writable, writableLength } = this.#stream;
    const queued = writableLength - this.#queuedMessageBytes;
    return (
      writable &&
      this.#queuedPackets < this.#limits.maxFrames &&
      // A packet that is longer than the whole queue may be all that is in it.
      (queued <= 0 || queued + length <= this.#limits.maxBytes)
    );
  }

  #hasRoomForMessage(length: number): boolean {
    const queued = this.#queuedMessageBytes;
    return (
      this.#stream.writable &&
      this.#queuedMessages < this.#limits.maxMessages &&
      (queued === 0 || queued + length <= this.#limits.maxMessageBytes)
    );
  }

  #write(frame: Uint8Array, payloadLength: number, onWritten: () => void): void {
    this.#frames += 1;
    this.#bytes += payloadLength;
    this.#corkForThisTurn();
    this.#stream.write(frame, onWritten);
  }

  #drop(length: number): false {
    this.#droppedFrames += 1;
    this.#droppedBytes += length;
    return false;
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

  readonly #onPacketWritten = (): void => {
    this.#takenFrames += 1;
    this.#queuedPackets -= 1;
  };
}
