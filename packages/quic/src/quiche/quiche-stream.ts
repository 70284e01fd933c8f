import { Duplex } from "node:stream";
import { sharesNoMemory, TransportError } from "@culvert/runtime";
import type { PeerReset, QuicStream } from "../engine.ts";
import type { GuardedConnection } from "./guarded-connection.ts";
import type { ReadBuffer } from "./read-buffer.ts";
import type { SendWindow } from "./send-window.ts";

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
  /** FIN was handed over to quiche. */
  finHandedOver(stream: QuicheStream): void;
  /** The stream is over in both directions. `clean` says that it ended with FIN both ways. */
  released(stream: QuicheStream, clean: boolean): void;
}

/**
 * A stream of a quiche connection. Bytes pass between Node's buffers and quiche only within the connection's turn. It never
 * throws for want of an `error` listener: no peer may end the process.
 */
export class QuicheStream extends Duplex implements QuicStream {
  readonly streamId: number;
  readonly [sharesNoMemory] = true;
  readonly #owner: StreamOwner;
  #pending: Uint8Array | undefined;
  /** Length of the chunk that {@link #pending} is the rest of. */
  #chunkBytes = 0;
  #written: ((error?: Error) => void) | undefined;
  #finished: (() => void) | undefined;
  #held = false;
  /** Node wants bytes. */
  #wanted = false;
  /** quiche has bytes that Node did not want. */
  #unread = false;
  /** FIN was handed over, or the direction was aborted by either end. */
  #sendingOver = false;
  /** The end was read, or the direction was aborted by either end. */
  #receivingOver = false;
  /** The connection is over, for this reason; what had arrived is still read. */
  #lost: Error | undefined;
  #sendingAborted = false;
  #receivingAborted = false;

  constructor(owner: StreamOwner, streamId: number) {
    super({
      allowHalfOpen: true,
      // Nothing is read ahead of the reader: what waits, waits in quiche, where it counts against the windows.
      readableHighWaterMark: 1,
      writableHighWaterMark: writeBufferBytes,
    });
    this.#owner = owner;
    this.streamId = streamId;
    this.on("error", () => undefined);
    this.once("finish", () => this.#releaseIfOver());
    this.once("end", () => {
      this.#releaseIfOver();
      this.#destroyIfLost();
    });
  }

  /** Whether something has arrived that nobody wants to read now. */
  get stalled(): boolean {
    return this.#unread && !this.#wanted;
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

  /** Whether there are bytes to hand over. */
  get hasBytes(): boolean {
    return this.#pending !== undefined;
  }

  /** Whether flow or congestion control ended the last {@link pump}. */
  get held(): boolean {
    return this.#held;
  }

  /** Whether all bytes were handed over, and FIN was not. */
  get awaitsFin(): boolean {
    return this.#pending === undefined && this.#finished !== undefined;
  }

  /**
   * Hands bytes to quiche, at most `budget` of them and what `window` has room for. FIN goes with the last byte if it is known by
   * now. Returns how many bytes were taken; see also {@link held}.
   */
  pump(link: GuardedConnection, budget: number, window: SendWindow): number {
    let taken = 0;
    this.#held = false;
    while (taken < budget && this.#pending !== undefined) {
      const bytes = this.#pending;
      if (bytes.length === 0) {
        this.#completeChunk();
        continue;
      }
      const capacity = link.streamCapacity(this.streamId);
      if (typeof capacity !== "number") {
        this.handleStopped(capacity.kind === "stopped" ? capacity.code : 0);
        return taken;
      }
      const room = window.room(capacity, Math.min(bytes.length, budget - taken));
      if (room === 0) {
        this.#held = true;
        return taken;
      }
      const part = room < bytes.length ? bytes.subarray(0, room) : bytes;
      const fin = part === bytes && this.writableEnded && this.writableLength === this.#chunkBytes;
      const sent = link.streamSend(this.streamId, part, fin);
      if (sent === null) {
        this.#held = true;
        return taken;
      }
      if (typeof sent !== "number") {
        this.handleStopped(sent.kind === "stopped" ? sent.code : 0);
        return taken;
      }
      taken += sent;
      window.handed(sent);
      if (sent < bytes.length) {
        this.#pending = bytes.subarray(sent);
      } else {
        if (fin) this.#endSending();
        this.#completeChunk();
      }
    }
    return taken;
  }

  /** Hands FIN alone to quiche; see {@link awaitsFin}. Returns false if the stream was stopped instead. */
  handOverFin(link: GuardedConnection): boolean {
    const sent = link.streamSend(this.streamId, noBytes, true);
    if (typeof sent !== "number") {
      this.handleStopped(sent?.kind === "stopped" ? sent.code : 0);
      return false;
    }
    const finished = this.#finished;
    this.#finished = undefined;
    this.#endSending();
    finished?.();
    return true;
  }

  /** Passes on what quiche has, as far as Node wants it, and learns of a reset in any case. */
  drain(link: GuardedConnection, buffer: ReadBuffer): void {
    while (!this.#receivingOver) {
      const { space } = buffer;
      // A read of nothing takes nothing, but tells of a reset.
      const got = link.streamReceive(this.streamId, this.#wanted ? space : noBytes);
      if (got === null) {
        this.#unread = false;
        return;
      }
      if ("kind" in got) {
        this.#handleReset(got.kind === "reset" ? got.code : 0);
        return;
      }
      const [length, fin] = got;
      // Whoever reads may give the memory away at once.
      const filled = length === space.length;
      // An end that is left in quiche would keep the stream there.
      if (fin && length === 0) link.streamReceive(this.streamId, space);
      if (fin) this.#receivingOver = true;
      this.#unread = !fin;
      if (length > 0) {
        link.counts.chunks += 1;
        // Cleared first: push may call _read, whose wish must not be overwritten.
        this.#wanted = false;
        if (this.push(buffer.take(length))) this.#wanted = true;
      }
      if (fin && !this.destroyed) this.push(null);
      if (filled || fin) continue;
      // quiche gave all it had, unless nothing was asked for.
      if (length > 0) this.#unread = false;
      return;
    }
  }

  /** Learns whether the peer has reset a {@link stalled} stream. */
  lookForReset(link: GuardedConnection): void {
    if (this.#receivingOver) return;
    const got = link.streamReceive(this.streamId, noBytes);
    if (got !== null && "kind" in got) this.#handleReset(got.kind === "reset" ? got.code : 0);
  }

  /** The connection is over, but not by us: the stream is destroyed with `error` when what had arrived is read. */
  loseConnection(error: Error): void {
    this.#lost = error;
    this.#destroyIfLost();
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
    // Nothing arrives any more: the stream is destroyed when the rest is read.
    if (this.#lost !== undefined) return;
    if (this.#sendingOver) {
      done();
      return;
    }
    this.#finished = done;
    this.#owner.wantsToSend(this);
  }

  override read(size?: number): unknown {
    const chunk: unknown = super.read(size);
    // Not at once, since a reader may put back what it cannot use.
    if (this.#lost !== undefined) process.nextTick(() => this.#destroyIfLost());
    return chunk;
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

  #endSending(): void {
    this.#sendingOver = true;
    this.#owner.finHandedOver(this);
  }

  #completeChunk(): void {
    const written = this.#written;
    this.#pending = undefined;
    this.#written = undefined;
    this.#chunkBytes = 0;
    // Node may call _write or _final before this returns.
    written?.();
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

  #destroyIfLost(): void {
    if (this.#lost === undefined || this.destroyed) return;
    const noMoreComes = this.#receivingOver ? this.readableEnded : !this.#unread;
    if (this.#receivingAborted || (noMoreComes && this.readableLength === 0)) {
      this.destroy(this.#lost);
    }
  }

  /** Node's autoDestroy knows FIN and end only; a direction that was aborted is over too. */
  #releaseIfOver(): void {
    const sent = this.#sendingOver && (this.writableFinished || !this.writableEnded);
    const received = this.#receivingAborted || this.readableEnded;
    if (sent && received && !this.destroyed) this.destroy();
  }
}

/** Enough for a writer of 64 KiB chunks to run on while quiche takes some; used only as far as it is filled. */
const writeBufferBytes = 256 * 1024;
const noBytes = new Uint8Array(0);
