import { Duplex } from "node:stream";
import { TransportError } from "@culvert/runtime";
import type { PeerReset, QuicStream } from "../engine.ts";
import type { GuardedConnection } from "./guarded-connection.ts";

/** What a {@link QuicheStream} needs of its connection. */
export interface StreamOwner {
  /** There is something to send: {@link QuicheStream.pump} is to be called. */
  wantsToSend(stream: QuicheStream): void;
  /** There is room again for what was left unread: {@link QuicheStream.drain} is to be called. */
  wantsToReceive(stream: QuicheStream): void;
  /** Sends RESET_STREAM. */
  reset(stream: QuicheStream, code: number): void;
  /** Sends STOP_SENDING, and throws away what still arrives. */
  stop(stream: QuicheStream, code: number): void;
  /** The stream is over in both directions. `clean` says that it ended with FIN both ways. */
  released(stream: QuicheStream, clean: boolean): void;
}

/**
 * A stream of a quiche connection. Bytes pass between Node's buffers and quiche only within the connection's turn. It never
 * throws for want of an `error` listener: no peer may end the process.
 */
export class QuicheStream extends Duplex implements QuicStream {
  readonly streamId: number;
  readonly #owner: StreamOwner;
  #pending: Uint8Array | undefined;
  /** Length of the chunk that {@link #pending} is the rest of. */
  #chunkBytes = 0;
  #written: ((error?: Error) => void) | undefined;
  #finished: (() => void) | undefined;
  /** Node wants bytes. */
  #wanted = false;
  /** quiche has bytes that Node did not want. */
  #unread = false;
  /** FIN was handed over, or the direction was aborted by either end. */
  #sendingOver = false;
  /** The end was read, or the direction was aborted by either end. */
  #receivingOver = false;
  #sendingAborted = false;
  #receivingAborted = false;

  constructor(owner: StreamOwner, streamId: number) {
    super({ allowHalfOpen: true, highWaterMark: bufferBytes });
    this.#owner = owner;
    this.streamId = streamId;
    this.on("error", () => undefined);
    this.once("finish", () => this.#releaseIfOver());
    this.once("end", () => this.#releaseIfOver());
  }

  /** Whether nothing more will be sent. */
  get sendingOver(): boolean {
    return this.#sendingOver;
  }

  resetSending(code = 0): void {
    if (this.#sendingOver) return;
    this.#abortSending();
    this.#owner.reset(this, code);
    this.#releaseIfOver();
  }

  stopReceiving(code = 0): void {
    if (this.#receivingOver) return;
    this.#abortReceiving(code);
    this.push(null);
    this.#releaseIfOver();
  }

  /**
   * Hands bytes to quiche, at most `budget` of them and `packetBytes` to a datagram. Returns how many were taken, or undefined if
   * quiche takes no more now.
   */
  pump(link: GuardedConnection, budget: number, packetBytes: number): number | undefined {
    let taken = 0;
    while (taken < budget && this.hasToSend) {
      const bytes = this.#pending ?? noBytes;
      // FIN rides with the last bytes if it is known by now.
      const last = this.writableEnded && this.writableLength === this.#chunkBytes;
      if (bytes.length === 0) {
        if (last && !this.#handOver(link, noBytes, true)) return undefined;
        this.#completeChunk(last);
        continue;
      }
      const capacity = link.streamCapacity(this.streamId);
      if (typeof capacity !== "number") {
        this.handleStopped(capacity.kind === "stopped" ? capacity.code : 0);
        return taken;
      }
      const room = Math.min(usableBytes(capacity, packetBytes), budget - taken);
      if (room <= 0) return undefined;
      const part = room < bytes.length ? bytes.subarray(0, room) : bytes;
      const fin = last && part === bytes;
      const sent = link.streamSend(this.streamId, part, fin);
      if (sent === null) return undefined;
      if (typeof sent !== "number") {
        this.handleStopped(sent.kind === "stopped" ? sent.code : 0);
        return taken;
      }
      taken += sent;
      if (sent < bytes.length) this.#pending = bytes.subarray(sent);
      else this.#completeChunk(fin);
    }
    return taken;
  }

  /** Whether {@link pump} would have something to do. */
  get hasToSend(): boolean {
    return this.#pending !== undefined || this.#finished !== undefined;
  }

  /** Passes on what quiche has, as far as Node wants it; `scratch` is overwritten. */
  drain(link: GuardedConnection, scratch: Buffer): void {
    this.#unread = true;
    while (this.#wanted && !this.#receivingOver) {
      const got = link.streamReceive(this.streamId, scratch);
      if (got === null) {
        this.#unread = false;
        return;
      }
      if ("kind" in got) {
        this.#unread = false;
        this.#handleReset(got.kind === "reset" ? got.code : 0);
        return;
      }
      const [length, fin] = got;
      if (fin) {
        this.#receivingOver = true;
        this.#unread = false;
      }
      if (length > 0) {
        // Cleared first: push may call _read, whose wish must not be overwritten.
        this.#wanted = false;
        if (this.push(copyOf(scratch, length))) this.#wanted = true;
      }
      if (fin && !this.destroyed) this.push(null);
    }
  }

  /** The peer wants no more bytes. */
  handleStopped(code: number): void {
    if (this.#sendingOver) return;
    this.#abortSending();
    // quiche answers STOP_SENDING with a reset by itself.
    this.#tell("sending", code);
  }

  override _write(chunk: Uint8Array, _encoding: string, done: (error?: Error) => void): void {
    if (this.#sendingOver) {
      done();
      return;
    }
    this.#pending = chunk;
    this.#chunkBytes = chunk.length;
    this.#written = done;
    this.#owner.wantsToSend(this);
  }

  override _final(done: () => void): void {
    if (this.#sendingOver) {
      done();
      return;
    }
    this.#finished = done;
    this.#owner.wantsToSend(this);
  }

  override _read(): void {
    this.#wanted = true;
    if (this.#unread) this.#owner.wantsToReceive(this);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (!this.#receivingOver) this.#abortReceiving(0);
    if (!this.#sendingOver) {
      this.#abortSending(error ?? undefined);
      this.#owner.reset(this, 0);
    }
    this.#owner.released(this, !this.#sendingAborted && !this.#receivingAborted);
    done(error);
  }

  #handOver(link: GuardedConnection, bytes: Uint8Array, fin: boolean): boolean {
    const sent = link.streamSend(this.streamId, bytes, fin);
    if (sent === null) return false;
    if (typeof sent !== "number") this.handleStopped(sent.kind === "stopped" ? sent.code : 0);
    return true;
  }

  #completeChunk(fin: boolean): void {
    if (fin) this.#sendingOver = true;
    const written = this.#written;
    const finished = this.#finished;
    this.#pending = undefined;
    this.#written = undefined;
    this.#chunkBytes = 0;
    if (fin) this.#finished = undefined;
    // Node may call _write or _final before these return.
    written?.();
    if (fin) finished?.();
  }

  #handleReset(code: number): void {
    if (this.#receivingOver) return;
    // Lets quiche forget the stream once our part is over too; nothing is sent.
    this.#abortReceiving(0);
    this.#tell("receiving", code, () => this.push(null));
  }

  #tell(direction: PeerReset["direction"], code: number, ending?: () => void): void {
    if (this.emit("peerreset", { direction, code } satisfies PeerReset)) {
      if (!this.destroyed) ending?.();
      this.#releaseIfOver();
      return;
    }
    const data = { streamId: this.streamId, code };
    this.destroy(
      direction === "receiving"
        ? new TransportError("stream_reset", `the peer reset stream ${this.streamId}`, { data })
        : new TransportError("stream_stopped", `the peer stopped stream ${this.streamId}`, {
            data,
          }),
    );
  }

  #abortReceiving(code: number): void {
    this.#receivingOver = true;
    this.#receivingAborted = true;
    this.#unread = false;
    this.#owner.stop(this, code);
  }

  #abortSending(error?: Error): void {
    this.#sendingOver = true;
    this.#sendingAborted = true;
    const written = this.#written;
    const finished = this.#finished;
    this.#pending = undefined;
    this.#written = undefined;
    this.#finished = undefined;
    written?.(error);
    if (error === undefined) finished?.();
  }

  /** Node's autoDestroy knows FIN and end only; a direction that was aborted is over too. */
  #releaseIfOver(): void {
    const sent = this.#sendingOver && (this.writableFinished || !this.writableEnded);
    const received = this.#receivingAborted || this.readableEnded;
    if (sent && received && !this.destroyed) this.destroy();
  }
}

/**
 * What of `capacity` can leave in the same turn: headers and authentication tags count against the congestion window too. Bytes
 * that quiche holds unsent when a stream is reset keep the stream from ever being forgotten.
 */
function usableBytes(capacity: number, packetBytes: number): number {
  return capacity - Math.ceil(capacity / packetBytes + 1) * packetOverheadBytes;
}

function copyOf(scratch: Buffer, length: number): Buffer {
  const copy = Buffer.allocUnsafe(length);
  scratch.copy(copy, 0, 0, length);
  return copy;
}

/** Short header, STREAM frame header and tag: 1 + 20 + 4 + 1 + 3 * 8 + 16, at most. */
const packetOverheadBytes = 66;
/** Enough that a reader and a writer of 64 KiB chunks run side by side; taken only when used. */
const bufferBytes = 256 * 1024;
const noBytes = new Uint8Array(0);
