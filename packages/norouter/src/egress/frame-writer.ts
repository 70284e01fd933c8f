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
 * repairs a message, which is why messages have a bound of their own, whatever packets wait. Frames leave in the order they came, those of
 * one turn of the event loop together, but never more at once than a slow line carries in moments: a stream tells of a write only when
 * all of it has gone. The stream is not owned; its error listener is its owner's matter, and so is to {@link flush} before its end.
 */
export class FrameWriter {
  readonly #stream: Writable;
  readonly #limits: Required<{ [K in keyof EgressLimits]: number }>;
  /** What the stream has not been given yet. */
  #queue: Queued[] = [];
  /** Of the queue and of what the stream has not written yet; bytes with headers. */
  readonly #waiting = { packets: 0, packetBytes: 0, messages: 0, messageBytes: 0 };
  /** Batches that the stream has not written yet. */
  #batches = 0;
  #scheduled = false;
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
    const frame = encodeFrame(frameType.l3, packet, reserved);
    this.#waiting.packets += 1;
    this.#waiting.packetBytes += frame.length;
    return this.#enqueue({ frame, isMessage: false }, packet.length);
  }

  /**
   * Sends the payload of a JSON message, behind the packets before it. Returns false where it was dropped: the stream has ended, or too
   * many messages wait. A message that is longer than their bound may be all that wait.
   */
  sendMessage(payload: Uint8Array): boolean {
    const frame = encodeFrame(frameType.json, payload);
    if (!this.#hasRoomForMessage(frame.length)) return this.#drop(payload.length);
    this.#waiting.messages += 1;
    this.#waiting.messageBytes += frame.length;
    return this.#enqueue({ frame, isMessage: true }, payload.length);
  }

  /** Gives the stream all that waits, as it has to be before the stream is ended. */
  flush(): void {
    this.#write(this.#queue.splice(0));
  }

  /** What was sent and dropped so far. */
  stats(): EgressStats {
    return {
      frames: this.#frames,
      bytes: this.#bytes,
      droppedFrames: this.#droppedFrames,
      droppedBytes: this.#droppedBytes,
      queuedBytes: this.#waiting.packetBytes + this.#waiting.messageBytes,
    };
  }

  /** Frames that have left the queue so far: the other end reads as long as there come to be more of them. */
  get takenFrames(): number {
    return this.#takenFrames;
  }

  #hasRoomForPacket(length: number): boolean {
    const { packets, packetBytes } = this.#waiting;
    return (
      this.#stream.writable &&
      packets < this.#limits.maxFrames &&
      // A packet that is longer than the whole queue may be all that is in it.
      (packets === 0 || packetBytes + length <= this.#limits.maxBytes)
    );
  }

  #hasRoomForMessage(length: number): boolean {
    const { messages, messageBytes } = this.#waiting;
    return (
      this.#stream.writable &&
      messages < this.#limits.maxMessages &&
      (messages === 0 || messageBytes + length <= this.#limits.maxMessageBytes)
    );
  }

  #enqueue(queued: Queued, payloadLength: number): true {
    this.#frames += 1;
    this.#bytes += payloadLength;
    this.#queue.push(queued);
    if (this.#scheduled || this.#batches > 0) return true;
    this.#scheduled = true;
    process.nextTick(() => {
      this.#scheduled = false;
      this.#writeNext();
    });
    return true;
  }

  #drop(length: number): false {
    this.#droppedFrames += 1;
    this.#droppedBytes += length;
    return false;
  }

  /** One batch at a time. */
  #writeNext(): void {
    if (this.#batches > 0) return;
    let [frames, bytes] = [0, 0];
    for (; frames < this.#queue.length && bytes < batchBytes; frames += 1) {
      bytes += this.#queue[frames]?.frame.length ?? 0;
    }
    this.#write(this.#queue.splice(0, frames));
  }

  #write(batch: readonly Queued[]): void {
    const last = batch.length - 1;
    if (last < 0) return;
    if (!this.#stream.writable) {
      // What is written to a stream that has ended is an error of its own.
      this.#release(batch);
      return;
    }
    this.#batches += 1;
    this.#stream.cork();
    batch.forEach(({ frame }, index) => {
      if (index < last) this.#stream.write(frame);
      else this.#stream.write(frame, () => this.#written(batch));
    });
    this.#stream.uncork();
  }

  #written(batch: readonly Queued[]): void {
    this.#release(batch);
    this.#takenFrames += batch.length;
    this.#batches -= 1;
    this.#writeNext();
  }

  #release(batch: readonly Queued[]): void {
    for (const { frame, isMessage } of batch) {
      this.#waiting[isMessage ? "messages" : "packets"] -= 1;
      this.#waiting[isMessage ? "messageBytes" : "packetBytes"] -= frame.length;
    }
  }
}

interface Queued {
  readonly frame: Uint8Array;
  readonly isMessage: boolean;
}

/** What the stream is given at once, beyond its last frame: a line of 4 kbit/s carries it in the time in which one has to read. */
const batchBytes = 128 * 1024;
