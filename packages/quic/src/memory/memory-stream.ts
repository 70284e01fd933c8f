import { Duplex } from "node:stream";
import { TransportError } from "@culvert/runtime";
import type { PeerReset, QuicStream } from "../engine.ts";
import type { StreamFrame } from "./memory-frame.ts";

/** What a {@link MemoryStream} needs of its connection. */
export interface StreamOwner {
  send(frame: StreamFrame): void;
  /** Takes up to `bytes` of the connection's send window. At 0 the stream's `pump` is called when there is more. */
  takeCredit(stream: MemoryStream, bytes: number): number;
  /** Reports received bytes as consumed, so that the peer may send as many again. */
  returnCredit(bytes: number): void;
  /** The stream is over in both directions. */
  released(stream: MemoryStream): void;
}

/** Flow-control windows of a stream, bytes. */
export interface StreamWindows {
  /** What the peer lets us send ahead of its reader. */
  readonly send: number;
  /** What we let the peer send ahead of ours. */
  readonly receive: number;
}

/** A stream between two memory connections. It never throws for want of an `error` listener: no peer may end the process. */
export class MemoryStream extends Duplex implements QuicStream {
  readonly streamId: number;
  readonly #owner: StreamOwner;
  readonly #receiveWindow: number;
  #sendCredit: number;
  #owedCredit = 0;
  #pending: { bytes: Uint8Array; readonly done: (error?: Error) => void } | undefined;
  #arrived: Uint8Array[] = [];
  #finArrived = false;
  #wanted = false;
  /** FIN was sent, or the direction was aborted by either end. */
  #sendingOver = false;
  /** The end was read, or the direction was aborted by either end. */
  #receivingOver = false;
  /** The connection is over, for this reason; what had arrived is still read. */
  #lost: Error | undefined;

  constructor(owner: StreamOwner, streamId: number, windows: StreamWindows) {
    super({ allowHalfOpen: true });
    this.#owner = owner;
    this.streamId = streamId;
    this.#sendCredit = windows.send;
    this.#receiveWindow = windows.receive;
    this.on("error", () => undefined);
    this.once("finish", () => this.#releaseIfOver());
    this.once("end", () => {
      this.#receivingOver = true;
      this.#releaseIfOver();
      this.#destroyIfLost();
    });
  }

  /** The connection is over, but not by us: the stream is destroyed with `error` when what had arrived is read. */
  loseConnection(error: Error): void {
    this.#lost = error;
    this.#destroyIfLost();
  }

  resetSending(code = 0): void {
    if (this.#sendingOver) return;
    this.#abortSending(code);
    this.#releaseIfOver();
  }

  stopReceiving(code = 0): void {
    if (this.#receivingOver) return;
    if (!this.#finArrived) this.#owner.send({ type: "stop", id: this.streamId, code });
    this.#abortReceiving();
    this.push(null);
    this.#releaseIfOver();
  }

  /** Handles a frame of the peer. */
  handle(frame: StreamFrame): void {
    if (frame.type === "data") this.#handleData(frame.bytes, frame.fin);
    else if (frame.type === "reset") this.#handleReset(frame.code);
    else if (frame.type === "stop") this.#handleStop(frame.code);
    else {
      this.#sendCredit += frame.bytes;
      this.pump();
    }
  }

  /** Sends as much of the pending write as both windows allow. */
  pump(): void {
    while (this.#pending !== undefined) {
      const { bytes, done } = this.#pending;
      if (bytes.length === 0) {
        this.#pending = undefined;
        done();
        continue;
      }
      const wanted = Math.min(bytes.length, this.#sendCredit, maxDataBytes);
      const granted = wanted === 0 ? 0 : this.#owner.takeCredit(this, wanted);
      if (granted === 0) return;
      this.#sendCredit -= granted;
      this.#pending.bytes = bytes.subarray(granted);
      // A copy, so that a writer who reuses its buffer too early is found out.
      const copy = Uint8Array.from(bytes.subarray(0, granted));
      this.#owner.send({ type: "data", id: this.streamId, bytes: copy, fin: false });
    }
  }

  override _write(chunk: Uint8Array, _encoding: string, done: (error?: Error) => void): void {
    if (this.#sendingOver) {
      done();
      return;
    }
    this.#pending = { bytes: chunk, done };
    this.pump();
  }

  override _final(done: () => void): void {
    // Nothing arrives any more: the stream is destroyed when the rest is read.
    if (this.#lost !== undefined) return;
    if (!this.#sendingOver) {
      this.#sendingOver = true;
      this.#owner.send({ type: "data", id: this.streamId, bytes: new Uint8Array(0), fin: true });
    }
    done();
  }

  override read(size?: number): unknown {
    const chunk: unknown = super.read(size);
    // Not at once, since a reader may put back what it cannot use.
    if (this.#lost !== undefined) process.nextTick(() => this.#destroyIfLost());
    return chunk;
  }

  override _read(): void {
    this.#wanted = true;
    this.#passOn();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (!this.#sendingOver) this.#abortSending(0, error ?? undefined);
    if (!this.#receivingOver) {
      if (!this.#finArrived) this.#owner.send({ type: "stop", id: this.streamId, code: 0 });
      this.#abortReceiving();
    }
    this.#owner.released(this);
    done(error);
  }

  #handleData(bytes: Uint8Array, fin: boolean): void {
    if (this.#receivingOver) {
      this.#owner.returnCredit(bytes.length);
      return;
    }
    if (bytes.length > 0) this.#arrived.push(bytes);
    this.#finArrived ||= fin;
    this.#passOn();
  }

  #handleReset(code: number): void {
    if (this.#receivingOver || this.#finArrived) return;
    this.#abortReceiving();
    this.#tell("receiving", code, () => this.push(null));
  }

  #handleStop(code: number): void {
    if (this.#sendingOver) return;
    this.#abortSending(code);
    this.#tell("sending", code);
  }

  #tell(direction: PeerReset["direction"], code: number, ending?: () => void): void {
    if (this.emit("peerreset", { direction, code } satisfies PeerReset)) {
      if (!this.destroyed) ending?.();
      this.#releaseIfOver();
      return;
    }
    const id = this.streamId;
    const data = { streamId: id, code };
    this.destroy(
      direction === "receiving"
        ? new TransportError("stream_reset", `the peer reset stream ${id}`, { data })
        : new TransportError("stream_stopped", `the peer stopped stream ${id}`, { data }),
    );
  }

  #passOn(): void {
    while (this.#wanted && !this.destroyed) {
      const chunk = this.#arrived.shift();
      if (chunk === undefined) break;
      // Cleared first: push may call _read, whose wish must not be overwritten.
      this.#wanted = false;
      this.#owe(chunk.length);
      if (this.push(chunk)) this.#wanted = true;
    }
    if (this.#finArrived && this.#arrived.length === 0 && !this.destroyed) {
      this.#wanted = false;
      if (!this.readableEnded) this.push(null);
    }
  }

  #owe(bytes: number): void {
    this.#owner.returnCredit(bytes);
    this.#owedCredit += bytes;
    if (this.#finArrived || this.#owedCredit < this.#receiveWindow / 4) return;
    this.#owner.send({ type: "stream-credit", id: this.streamId, bytes: this.#owedCredit });
    this.#owedCredit = 0;
  }

  #abortSending(code: number, error?: Error): void {
    this.#sendingOver = true;
    this.#owner.send({ type: "reset", id: this.streamId, code });
    const pending = this.#pending;
    this.#pending = undefined;
    pending?.done(error);
  }

  #abortReceiving(): void {
    this.#receivingOver = true;
    const unread = this.#arrived.reduce((sum, { length }) => sum + length, 0);
    this.#arrived = [];
    this.#owner.returnCredit(unread);
  }

  /** Destroys a stream whose connection is over, once its reader has everything. */
  #destroyIfLost(): void {
    if (this.#lost === undefined || this.destroyed) return;
    const allRead = !this.#finArrived && this.#arrived.length === 0 && this.readableLength === 0;
    if (allRead || this.#receivingOver) this.destroy(this.#lost);
  }

  /** Node's autoDestroy knows FIN and end only; a direction that was aborted is over too. */
  #releaseIfOver(): void {
    const finSentOrAborted = this.#sendingOver && (this.writableFinished || !this.writableEnded);
    if (finSentOrAborted && this.#receivingOver) this.destroy();
  }
}

const maxDataBytes = 64 * 1024;
