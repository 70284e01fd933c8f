import { Duplex } from "node:stream";
import { sharesNoMemory } from "@culvert/runtime";
import type { ConnectionError } from "@culvert/wire";
import type { Credit, FlowFrame, FlowWord } from "./credit.ts";
import type { ConnectionMeta, TunnelDropReason } from "./tunnel-api.ts";

/** What a {@link TunnelStream} needs of its tunnel. */
export interface StreamOwner {
  /** It has bytes or an end to send; asked for by `takeFrame`. */
  wantsToSend(stream: TunnelStream): void;
  /** It has something to tell that goes ahead of all bytes: that it is open, or credit. */
  wantsToTell(stream: TunnelStream): void;
  /** So many more bytes wait for a reader; fewer, if negative. */
  unreadChanged(bytes: number): void;
  dropped(reason: TunnelDropReason): void;
  /** The stream is over. `reset` is what the peer is to be told, if anything. */
  released(stream: TunnelStream, reset: ConnectionError | undefined): void;
}

/** How a stream begins and ends. */
export interface StreamManners {
  readonly credit: Credit;
  /** Whether the peer knows of the stream already. */
  readonly announced: boolean;
  /** Whether bytes may still be sent after the peer's `end`; else they are thrown away and our own `end` follows at once. */
  readonly repliesAfterEnd: boolean;
}

/** A frame as a stream wants it sent; the writer puts the header before it. */
export interface OutgoingFrame {
  readonly kind: "connection" | "data" | "end";
  readonly body: readonly Uint8Array[];
  readonly length: number;
  /** To be called once the frame is handed over. */
  readonly done: (() => void) | undefined;
}

/** One connection in a tunnel. It never throws for want of an `error` listener: no peer may end the process. */
export class TunnelStream extends Duplex {
  readonly [sharesNoMemory] = true;
  readonly meta: ConnectionMeta;
  readonly #owner: StreamOwner;
  readonly #credit: Credit;
  readonly #repliesAfterEnd: boolean;
  #announced: boolean;
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  #writeDone: ((error?: Error) => void) | undefined;
  /** Frames taken and not yet handed over: their memory is still needed. */
  #framesUnderWay = 0;
  #finalDone: (() => void) | undefined;
  #endWanted = false;
  #endSent = false;
  readonly #inbox: Uint8Array[] = [];
  #unreadBytes = 0;
  #wanted = false;
  #endReceived = false;
  /** The peer has reset the stream, or the tunnel is over: there is nobody to tell. */
  #peerGone = false;
  #lost: Error | undefined;

  constructor(owner: StreamOwner, meta: ConnectionMeta, manners: StreamManners) {
    super({ allowHalfOpen: true, readableHighWaterMark, writableHighWaterMark });
    this.meta = meta;
    this.#owner = owner;
    this.#credit = manners.credit;
    this.#announced = manners.announced;
    this.#repliesAfterEnd = manners.repliesAfterEnd;
    this.on("error", () => undefined);
    this.once("end", () => this.#destroyIfLost());
  }

  /** Bytes this stream has moved both ways; grows with every sign of progress. */
  progress = 0;

  /** Whether the peer has said that it sends no more, or reset the stream. */
  get peerEnded(): boolean {
    return this.#endReceived || this.#peerGone;
  }

  /** Whether either end has ended its direction. */
  get halfEnded(): boolean {
    return this.#endReceived || this.#endSent;
  }

  /** Whether it was ended here and the end is not yet handed over. */
  get ending(): boolean {
    return this.writableEnded && !this.#endSent && !this.destroyed && this.#lost === undefined;
  }

  /** Whether {@link takeFrame} has a frame now. */
  get hasFrame(): boolean {
    if (!this.#announced) return true;
    if (this.#pendingBytes > 0) return this.#credit.sendable > 0;
    return this.#endWanted && !this.#endSent;
  }

  /** Whether the peer does not know yet that the stream is open. */
  get unannounced(): boolean {
    return !this.#announced;
  }

  /** Puts bytes before everything written; only before the stream is announced. */
  putFirst(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#pending.unshift(bytes);
    this.#pendingBytes += bytes.length;
  }

  /** The next frame, with at most `maxBytes` of body. */
  takeFrame(maxBytes: number): OutgoingFrame | undefined {
    if (this.destroyed || this.#lost !== undefined || !this.hasFrame) return undefined;
    const length = Math.min(this.#pendingBytes, maxBytes, Math.max(0, this.#credit.sendable));
    const kind = this.#announced ? (length === 0 ? "end" : "data") : "connection";
    this.#announced = true;
    if (kind === "end") return this.#takeEnd();
    const body = this.#takePending(length);
    this.#credit.sent(length);
    this.progress += length;
    const written = this.#pendingBytes === 0 ? this.#takeDone() : undefined;
    this.#framesUnderWay += 1;
    return { kind, body, length, done: () => this.#handedOver(written) };
  }

  /** What to tell the peer of our reading. */
  takeFlowFrame(): FlowFrame | undefined {
    return this.destroyed || this.#endReceived ? undefined : this.#credit.takeOwed();
  }

  /** Bytes of the peer. Returns false where it had no right to send them; then the caller resets the stream. */
  receive(bytes: Uint8Array): boolean {
    if (this.destroyed || this.#endReceived) {
      this.#owner.dropped("reader_gone");
      return true;
    }
    if (!this.#credit.received(bytes.length, this.#unreadBytes + bytes.length)) return false;
    this.#unreadBytes += bytes.length;
    this.#owner.unreadChanged(bytes.length + chunkBytes);
    // Only with nothing before it can it go straight to the reader; what waits must not keep a large buffer alive for few bytes.
    const waits = !this.#wanted || this.#inbox.length > 0;
    const isSmallPart = bytes.length * 4 < bytes.buffer.byteLength;
    // A Buffer's own slice would not copy.
    this.#inbox.push(waits && isSmallPart ? new Uint8Array(bytes) : bytes);
    this.#passOn();
    if (this.#credit.owes) this.#owner.wantsToTell(this);
    return true;
  }

  /** The peer sends no more. Said twice it means no more than once. */
  receiveEnd(): void {
    if (this.#endReceived || this.destroyed) return;
    this.#endReceived = true;
    if (!this.#repliesAfterEnd) this.#endAtOnce();
    this.#passOn();
  }

  /** The peer tells how far it has read. @throws WireError */
  receiveFlow(word: FlowWord, readBytes: number | undefined): void {
    this.#credit.heard(word, readBytes);
    if (this.hasFrame) this.#owner.wantsToSend(this);
  }

  /** The peer has reset the stream. */
  receiveReset(error: Error): void {
    this.#peerGone = true;
    this.destroy(error);
  }

  /** The tunnel is over, but not by us: the stream is destroyed with `error` when what had arrived is read. */
  loseTunnel(error: Error): void {
    this.#lost = error;
    this.#peerGone = true;
    this.#destroyIfLost();
  }

  override _write(chunk: Uint8Array, _encoding: string, done: (error?: Error) => void): void {
    this.#send([chunk], chunk.length, done);
  }

  override _writev(
    chunks: readonly { readonly chunk: Uint8Array }[],
    done: (error?: Error) => void,
  ): void {
    let bytes = 0;
    const list: Uint8Array[] = [];
    for (const { chunk } of chunks) {
      if (chunk.length === 0) continue;
      bytes += chunk.length;
      list.push(chunk);
    }
    this.#send(list, bytes, done);
  }

  override _final(done: () => void): void {
    // Nothing can be sent any more: the stream is destroyed when the rest is read.
    if (this.#lost !== undefined) return;
    if (this.#endSent) {
      done();
      return;
    }
    this.#finalDone = done;
    this.#endWanted = true;
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
    this.#passOn();
    if (this.#credit.owes && !this.destroyed) this.#owner.wantsToTell(this);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#owner.unreadChanged(-(this.#unreadBytes + this.#inbox.length * chunkBytes));
    this.#inbox.length = 0;
    this.#unreadBytes = 0;
    this.#pending = [];
    this.#pendingBytes = 0;
    const clean = this.#peerGone || !this.#announced || (this.#endSent && this.#endReceived);
    // Without its text, which may name addresses that are none of the peer's business.
    const reset = { message: "", code: error === null ? "E_CLOSED" : "E_RESET" };
    this.#owner.released(this, clean ? undefined : reset);
    done(error);
  }

  #send(chunks: Uint8Array[], bytes: number, done: (error?: Error) => void): void {
    // After the peer's end nobody takes what is written; it is thrown away as a closed socket would.
    if (this.#endSent || (this.#endWanted && this.#endReceived)) {
      done();
      return;
    }
    if (this.#lost !== undefined) return;
    this.#pending = this.#pending.length === 0 ? chunks : [...this.#pending, ...chunks];
    this.#pendingBytes += bytes;
    this.#writeDone = done;
    if (this.#pendingBytes === 0) this.#takeDone()?.();
    else if (this.hasFrame) this.#owner.wantsToSend(this);
  }

  #takePending(length: number): Uint8Array[] {
    this.#pendingBytes -= length;
    if (this.#pendingBytes === 0) {
      const all = this.#pending;
      this.#pending = [];
      return all;
    }
    const body: Uint8Array[] = [];
    let left = length;
    while (left > 0) {
      const chunk = this.#pending[0];
      if (chunk === undefined) break;
      if (chunk.length <= left) {
        body.push(chunk);
        this.#pending.shift();
        left -= chunk.length;
      } else {
        body.push(chunk.subarray(0, left));
        this.#pending[0] = chunk.subarray(left);
        left = 0;
      }
    }
    return body;
  }

  #takeDone(): (() => void) | undefined {
    const done = this.#writeDone;
    this.#writeDone = undefined;
    return done;
  }

  #takeEnd(): OutgoingFrame {
    this.#endSent = true;
    this.progress += 1;
    const done = this.#finalDone;
    this.#finalDone = undefined;
    return { kind: "end", body: [], length: 0, done };
  }

  /** Ends our direction without the writer's leave: what is not sent is thrown away. */
  #endAtOnce(): void {
    this.#pending = [];
    this.#pendingBytes = 0;
    if (!this.#endSent) {
      this.#endWanted = true;
      this.#owner.wantsToSend(this);
    }
    // With frames of it under way the writer's memory is not its own again yet.
    if (this.#framesUnderWay > 0) return;
    const done = this.#takeDone();
    if (done !== undefined) process.nextTick(done);
  }

  #handedOver(written: (() => void) | undefined): void {
    this.#framesUnderWay -= 1;
    written?.();
    // What was thrown away at the peer's end is done with once the rest of it is handed over.
    const isOver = this.#endReceived && !this.#repliesAfterEnd && this.#framesUnderWay === 0;
    if (isOver && this.#pendingBytes === 0) this.#takeDone()?.();
  }

  #passOn(): void {
    while (this.#wanted && !this.destroyed) {
      const chunk = this.#inbox.shift();
      if (chunk === undefined) break;
      // Cleared first: push may call _read, whose wish must not be overwritten.
      this.#wanted = false;
      this.#unreadBytes -= chunk.length;
      this.#owner.unreadChanged(-(chunk.length + chunkBytes));
      this.progress += chunk.length;
      this.#credit.read(chunk.length, this.#unreadBytes);
      if (this.push(chunk)) this.#wanted = true;
    }
    if (this.#endReceived && this.#inbox.length === 0 && !this.destroyed) {
      this.#wanted = false;
      if (!this.readableEnded) this.push(null);
    }
  }

  #destroyIfLost(): void {
    if (this.#lost === undefined || this.destroyed) return;
    if (this.#inbox.length > 0 || this.readableLength > 0) return;
    if (this.#endReceived && !this.readableEnded) return;
    if (this.#endReceived && this.writableFinished) return;
    this.destroy(this.#lost);
  }
}

/** What a piece costs besides its bytes. */
const chunkBytes = 128;
const readableHighWaterMark = 64 * 1024;
/** Enough to fill frames while the last ones are on their way. */
const writableHighWaterMark = 128 * 1024;
