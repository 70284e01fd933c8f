import { Duplex } from "node:stream";
import { errorText, InternalError, TransportError } from "@culvert/runtime";
import type { PeerReset, QuicStream } from "../engine.ts";
import type { NativeStream } from "./addon.ts";
import { streamFault } from "./from-quinn.ts";
import { ReadSize } from "./read-size.ts";
import { WritePieces } from "./write-pieces.ts";

/** What a {@link QuinnStream} needs of its connection. */
export interface StreamOwner {
  /** Payload went in or out. */
  moved(bytes: number): void;
  /** The stream is over in both directions. */
  released(stream: QuinnStream): void;
}

/**
 * A stream of a quinn connection. It never throws for want of an `error` listener: no peer may end the process.
 *
 * A chunk given to `write` belongs to the stream until its callback tells of success: another thread reads it. After a failure
 * its memory must not be reused.
 *
 * The addon cannot interrupt a read or a write, which decides when the peer learns of an abort; our own side never waits:
 * - `stopReceiving` while a read is pending, that is while nothing arrives: the peer is told when it sends its next bytes.
 * - `resetSending` while a write is held up by the peer's window: the peer sees the reset once it has read on (at most what
 *   is in its window and one piece of 128 KiB), has stopped the stream, or the connection has ended. Until then one piece stays
 *   in memory.
 * - A peer that stops our sending part is noticed at the next write. One that resets is noticed at once, unless bytes have
 *   arrived that our reader does not read.
 */
export class QuinnStream extends Duplex implements QuicStream {
  readonly streamId: number;
  readonly #native: NativeStream;
  readonly #owner: StreamOwner;
  readonly #readSize = new ReadSize();
  #reading = false;
  /** Node asked for more than it has got. */
  #wanted = false;
  #held: Uint8Array | undefined;
  #writeDone: ((error?: Error | null) => void) | undefined;
  /** FIN was sent, or the direction was aborted by either end. */
  #sendingOver = false;
  #finArrived = false;
  /** The end was read, or the direction was aborted by either end. */
  #receivingOver = false;
  /** The connection is over, for this reason; what had arrived is still read. */
  #lost: Error | undefined;
  /** quinn has nothing more of a stream whose connection is over. */
  #exhausted = false;
  #takenBytes = 0;

  constructor(native: NativeStream, owner: StreamOwner, streamId: number) {
    super({
      allowHalfOpen: true,
      readableHighWaterMark: receiveBufferBytes,
      writableHighWaterMark: sendBufferBytes,
    });
    this.#native = native;
    this.#owner = owner;
    this.streamId = streamId;
    this.on("error", () => undefined);
    this.#readAhead(lookoutBytes);
    this.once("finish", () => this.#destroyIfOver());
    this.once("end", () => {
      this.#receivingOver = true;
      this.#destroyIfOver();
      this.#destroyIfLost();
    });
  }

  /** Whether it was ended, and quinn has not taken all of it yet. */
  get isEnding(): boolean {
    return this.writableEnded && !this.writableFinished && !this.destroyed;
  }

  /** What quinn gave out of what the peer sent. */
  get takenBytes(): number {
    return this.#takenBytes - this.readableLength;
  }

  /** The connection is over, but not by us: the stream is destroyed with `error` when what had arrived is read. */
  loseConnection(error: Error): void {
    this.#lost = error;
    this.#destroyIfLost();
  }

  resetSending(): void {
    if (this.#sendingOver) return;
    this.#abortSending();
    this.#destroyIfOver();
  }

  stopReceiving(): void {
    if (this.#receivingOver) return;
    this.#abortReceiving();
    if (!this.#finArrived) this.push(null);
    this.#destroyIfOver();
  }

  override _read(): void {
    this.#wanted = true;
    const held = this.#held;
    this.#held = undefined;
    if (held !== undefined) this.#deliver(held);
    else this.#readAhead(this.#readSize.bytes);
  }

  override read(size?: number): unknown {
    const chunk: unknown = super.read(size);
    // Not at once, since a reader may put back what it cannot use.
    if (this.#lost !== undefined) process.nextTick(() => this.#destroyIfLost());
    return chunk;
  }

  override _write(
    chunk: Uint8Array,
    _encoding: string,
    done: (error?: Error | null) => void,
  ): void {
    this.#writeAll([chunk], done);
  }

  override _writev(
    chunks: readonly { readonly chunk: Uint8Array }[],
    done: (error?: Error | null) => void,
  ): void {
    this.#writeAll(
      chunks.map(({ chunk }) => chunk),
      done,
    );
  }

  override _final(done: (error?: Error | null) => void): void {
    if (this.#sendingOver) {
      done();
      return;
    }
    this.#sendingOver = true;
    this.#native.finishWrite().then(
      // Of a connection that is over, nothing arrives: the stream is destroyed when the rest is read.
      () => (this.#lost === undefined ? done() : undefined),
      (error: unknown) => {
        const fault = streamFault(error);
        if (fault === "connection_lost") return;
        if (fault !== "stopped") this.#fail(error);
        else if (this.#tell("sending")) done();
      },
    );
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (!this.#sendingOver) this.#abortSending(error);
    if (!this.#receivingOver) this.#abortReceiving();
    this.#owner.released(this);
    done(error);
  }

  /**
   * Keeps one read pending also while nobody reads, so that a reset by the peer is noticed; what it brings is held back.
   */
  #readAhead(asked: number): void {
    if (this.#reading || this.#held !== undefined) return;
    if (this.#receivingOver || this.#finArrived || this.#exhausted) return;
    this.#reading = true;
    this.#native
      .read(asked)
      .then(
        (chunk) => {
          this.#reading = false;
          this.#handleRead(chunk, asked);
        },
        (error: unknown) => {
          this.#reading = false;
          this.#handleReadFault(error);
        },
      )
      .catch((error: unknown) => this.#fail(error));
  }

  #handleRead(chunk: Uint8Array | null, asked: number): void {
    if (this.#receivingOver || this.destroyed) return;
    if (chunk === null) {
      this.#finArrived = true;
      this.push(null);
      return;
    }
    this.#owner.moved(chunk.length);
    this.#takenBytes += chunk.length;
    this.#readSize.learn(asked, chunk.length);
    if (this.#wanted) this.#deliver(chunk);
    else this.#held = chunk;
  }

  #deliver(chunk: Uint8Array): void {
    // Cleared first: push may call _read, whose wish must not be overwritten.
    this.#wanted = false;
    const keepsUp = this.push(chunk);
    this.#readAhead(keepsUp ? this.#readSize.bytes : lookoutBytes);
  }

  #handleReadFault(error: unknown): void {
    if (this.#receivingOver || this.destroyed) return;
    const fault = streamFault(error);
    if (fault === "connection_lost") {
      // The connection tells as soon as it knows the reason.
      this.#exhausted = true;
      this.#destroyIfLost();
      return;
    }
    if (fault !== "reset") {
      this.#fail(error);
      return;
    }
    this.#receivingOver = true;
    if (this.#tell("receiving")) this.push(null);
    this.#destroyIfOver();
  }

  #writeAll(chunks: readonly Uint8Array[], done: (error?: Error | null) => void): void {
    this.#writeDone = done;
    this.#writeNext(new WritePieces(chunks));
  }

  #writeNext(pieces: WritePieces): void {
    if (this.#writeDone === undefined) return;
    const piece = this.#sendingOver ? undefined : pieces.next();
    if (piece === undefined) {
      this.#finishWrite();
      return;
    }
    this.#native
      .write(piece)
      .then(
        () => {
          this.#owner.moved(piece.length);
          this.#writeNext(pieces);
        },
        (error: unknown) => this.#handleWriteFault(error),
      )
      .catch((error: unknown) => this.#fail(error));
  }

  #finishWrite(error?: Error | null): void {
    const done = this.#writeDone;
    this.#writeDone = undefined;
    done?.(error);
  }

  #handleWriteFault(error: unknown): void {
    if (this.#sendingOver || this.destroyed) return;
    const fault = streamFault(error);
    if (fault === "connection_lost") return;
    if (fault !== "stopped") {
      this.#fail(error);
      return;
    }
    this.#abortSending();
    this.#tell("sending");
    this.#destroyIfOver();
  }

  /** Tells of a direction that the peer ended. Returns false if nobody listened, and the stream was destroyed. */
  #tell(direction: PeerReset["direction"]): boolean {
    if (this.emit("peerreset", { direction, code: 0 } satisfies PeerReset)) return !this.destroyed;
    const id = this.streamId;
    const data = { streamId: id };
    this.destroy(
      direction === "receiving"
        ? new TransportError("stream_reset", `the peer reset stream ${id}`, { data })
        : new TransportError("stream_stopped", `the peer stopped stream ${id}`, { data }),
    );
    return false;
  }

  /** Confines to this stream what the addon should not do, or what a listener of the stream throws. */
  #fail(error: unknown): void {
    const text = `stream ${this.streamId} failed: ${errorText(error)}`;
    this.destroy(new InternalError("engine_fault", text, { cause: error }));
  }

  #abortSending(error?: Error | null): void {
    this.#sendingOver = true;
    this.#native.resetWrite().catch(() => undefined);
    this.#finishWrite(error);
  }

  #abortReceiving(): void {
    this.#receivingOver = true;
    if (this.#finArrived) return;
    this.#native.stopRead().catch(() => undefined);
  }

  /** Destroys a stream whose connection is over, once its reader has everything. */
  #destroyIfLost(): void {
    if (this.#lost === undefined || this.destroyed) return;
    const allRead = this.#exhausted && this.#held === undefined && this.readableLength === 0;
    if (allRead || this.#receivingOver) this.destroy(this.#lost);
  }

  /** Node's autoDestroy knows FIN and end only; a direction that was aborted is over too. */
  #destroyIfOver(): void {
    const finSentOrAborted = this.#sendingOver && (this.writableFinished || !this.writableEnded);
    if (finSentOrAborted && this.#receivingOver) this.destroy();
  }
}

/** What may wait in a stream before its writer must. */
const sendBufferBytes = 64 * 1024;
/** What may wait for a reader before reading stops; the last read may go beyond it, and what the lookout brings is added. */
const receiveBufferBytes = 16 * 1024;
/** What the read asks for that stands by while nobody reads. */
const lookoutBytes = 4 * 1024;
