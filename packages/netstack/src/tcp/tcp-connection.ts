import { Duplex } from "node:stream";
import { millis, type Millis } from "@culvert/runtime";
import type { Endpoint } from "../endpoint.ts";
import { formatIpv4Address } from "../packet/index.ts";
import type { SendFigures } from "./send-side.ts";
import { TcpEngine } from "./tcp-engine.ts";
import type { TcpHost, TcpSecrets, TcpTuple, TcpUser } from "./tcp-host.ts";
import { compact, UnreadBytes } from "./unread-bytes.ts";

/** What one connection has done so far. */
export interface TcpConnectionStats extends SendFigures {
  readonly sentBytes: number;
  readonly receivedBytes: number;
}

/**
 * One TCP connection as a Node Duplex with `allowHalfOpen`; a ByteStream of the runtime. Made by a `Netstack` only.
 *
 * - `end()` sends FIN after everything written; `finish` comes when the peer has acknowledged all of it, FIN included.
 * - `destroy(error)` resets the connection. `destroy()` does so too, unless FIN was queued before and nothing is unread: then
 *   what was written still goes out.
 * - A reset by the peer destroys it with TransportError `stream_reset`; a peer that acknowledges nothing for the user time-out, with
 *   `timeout`; the end of the stack, with `connection_closed`.
 * - What is written is copied at once. What is read at once is a view of the packet that brought it, which nobody else keeps; what has
 *   to wait is kept in blocks, so that it takes little more memory than its bytes, however small the segments were.
 * - The window offered to the peer follows the reader: unread bytes are never more than the receive buffer, and one
 *   unit of the window (64 bytes).
 *
 * It never throws for want of an `error` listener: no peer may end the process.
 */
export class TcpConnection extends Duplex {
  readonly local: Endpoint;
  readonly remote: Endpoint;
  readonly #engine: TcpEngine;
  /** What comes while something waits to be read: Node's own queue would keep each segment for itself. */
  readonly #unread = new UnreadBytes();
  /** Who reads wants more bytes at once than have come. */
  #isStarved = false;
  #isRefilling = false;
  #writeDone: (() => void) | undefined;
  #finalDone: (() => void) | undefined;
  /** The peer sends nothing more. */
  #isEnded = false;
  /** The reader was told so. */
  #isEndTold = false;
  #isOver = false;
  /** Nobody will read what is left. */
  #isForgotten = false;
  #sentBytes = 0;
  #receivedBytes = 0;

  /** For the stack only: `onEstablished` is called once, when the handshake is over. */
  constructor(
    host: TcpHost,
    tuple: TcpTuple,
    secrets: TcpSecrets,
    onEstablished: (connection: TcpConnection) => void,
    onMade: (engine: TcpEngine) => void,
  ) {
    super({
      allowHalfOpen: true,
      readableHighWaterMark: readAheadBytes,
      writableHighWaterMark: writeAheadBytes,
    });
    this.on("error", () => undefined);
    this.local = { address: formatIpv4Address(tuple.localAddress), port: tuple.localPort };
    this.remote = { address: formatIpv4Address(tuple.remoteAddress), port: tuple.remotePort };
    const user: TcpUser = {
      take: (bytes) => this.#take(bytes),
      unreadBytes: () => this.unreadBytes,
      established: () => onEstablished(this),
      ended: () => this.#end(),
      writable: () => this.#writable(),
      delivered: () => this.#delivered(),
      failed: (error) => this.#fail(error),
    };
    this.#engine = new TcpEngine(host, user, tuple, secrets);
    onMade(this.#engine);
  }

  /** Bytes that have arrived in order and that nobody has read: `readableLength` is a part of them only. */
  get unreadBytes(): number {
    return this.#isForgotten ? 0 : this.readableLength + this.#unread.length;
  }

  /** Counters of this connection. */
  stats(): TcpConnectionStats {
    return {
      sentBytes: this.#sentBytes,
      receivedBytes: this.#receivedBytes,
      ...this.#engine.figures,
    };
  }

  /** Asks a silent peer whether it is still there after `idle`; 0 turns that off (RFC 9293 §3.8.4). */
  setKeepAlive(idle: Millis): this {
    this.#engine.setKeepAlive(millis(idle));
    return this;
  }

  override _write(chunk: Uint8Array, _encoding: string, done: () => void): void {
    this.#queue(chunk);
    this.#goOn(done);
  }

  override _writev(chunks: { chunk: Uint8Array }[], done: () => void): void {
    for (const { chunk } of chunks) this.#queue(chunk);
    this.#goOn(done);
  }

  override _final(done: () => void): void {
    this.#finalDone = done;
    this.#engine.finish();
  }

  override _read(): void {
    this.#refill(this.readableHighWaterMark);
    this.#engine.readerMoved();
  }

  override read(size?: number): unknown {
    const chunk: unknown = super.read(size);
    if (chunk === null && size !== 0) this.#isStarved = true;
    // After it, so that what flows is told in order, and nothing once it is paused.
    this.#refill(Math.max(this.readableHighWaterMark, size ?? 0));
    if (chunk !== null) this.#engine.readerMoved();
    return chunk;
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (!this.#isOver) {
      this.#isOver = true;
      if (error === null) this.#engine.leave();
      else this.#engine.abort();
    }
    this.#writeDone = undefined;
    this.#finalDone = undefined;
    this.#unread.clear();
    this.#isForgotten = true;
    this.#engine.readerMoved();
    done(error);
  }

  #queue(chunk: Uint8Array): void {
    this.#sentBytes += chunk.length;
    this.#engine.write(chunk);
  }

  #goOn(done: () => void): void {
    if (this.#engine.hasRoom) done();
    else this.#writeDone = done;
  }

  #take(bytes: Uint8Array): void {
    this.#receivedBytes += bytes.length;
    if (this.destroyed) return;
    const mayHand = this.readableLength === 0 || this.#isStarved;
    if (!mayHand || this.#unread.length > 0) {
      this.#unread.append(bytes);
      return;
    }
    this.#isStarved = false;
    this.push(this.readableFlowing === true ? bytes : compact(bytes));
  }

  /** Hands what waits to Node's queue, up to so many bytes of it; what flows is taken out at once. */
  #refill(bytes: number): void {
    if (this.#isRefilling) return;
    this.#isRefilling = true;
    while (this.readableLength < bytes && !this.destroyed) {
      const piece = this.#unread.shift();
      if (piece === undefined) break;
      this.push(piece);
    }
    this.#isRefilling = false;
    this.#tellEnd();
  }

  #end(): void {
    this.#isEnded = true;
    this.#tellEnd();
  }

  #tellEnd(): void {
    if (!this.#isEnded || this.#isEndTold || this.#unread.length > 0 || this.destroyed) return;
    this.#isEndTold = true;
    this.push(null);
  }

  #writable(): void {
    const done = this.#writeDone;
    this.#writeDone = undefined;
    done?.();
  }

  #delivered(): void {
    this.#writable();
    const done = this.#finalDone;
    this.#finalDone = undefined;
    done?.();
  }

  #fail(error: Error): void {
    this.#isOver = true;
    this.destroy(error);
  }
}

/** Bytes read ahead of a reader; the receive window bounds them, not this. */
const readAheadBytes = 64 * 1_024;
/** Bytes a writer may be ahead of the send buffer before it is told to wait. */
const writeAheadBytes = 128 * 1_024;
