import type { PathEvent, RecvInfo, SendInfo, Stats } from "@matrixai/quic/native/types.js";
import { millis, type Millis } from "@culvert/runtime";
import type { QuicConnectionStats, UdpAddress } from "../engine.ts";
import type { NativeConnection } from "./binding.ts";
import { driverCounts } from "./driver-counts.ts";
import { quicheFault, type QuicheFault } from "./errors.ts";

/** Which part of a stream to shut down, as the binding numbers it. */
export const ShutdownSide = { Read: 0, Write: 1 } as const;

/** What the peer or quiche said when it ended the connection. */
export interface StatedError {
  readonly isApp: boolean;
  readonly code: number;
  readonly reason: string;
}

/** What quiche knows of the path in use. */
export interface ActivePath {
  /** The peer's end of it, in the form quiche knows it by. */
  readonly peer: UdpAddress;
  readonly rttMs: number;
  readonly congestionWindowBytes: number;
}

/**
 * A quiche connection whose calls never throw. Stream calls give the fault as a value; a fault of the connection itself is kept
 * in {@link fault}, and whoever drives the connection looks there once per turn.
 *
 * An exception of the binding reaches no further than this file.
 */
export class GuardedConnection {
  /** What driving this connection has cost. */
  readonly counts = driverCounts();
  readonly #native: NativeConnection;
  #fault: QuicheFault | undefined;
  #wantsToSend = true;

  constructor(native: NativeConnection) {
    this.#native = native;
  }

  /** The first fault of the connection as a whole. */
  get fault(): QuicheFault | undefined {
    return this.#fault;
  }

  /**
   * Whether quiche may have something to send beyond what follows from what it received: acknowledgements, and credit for what
   * was read.
   */
  get wantsToSend(): boolean {
    return this.#wantsToSend;
  }

  /** Takes in one datagram, which it decrypts in place. Returns false if quiche refused it. */
  receive(datagram: Uint8Array, info: RecvInfo): boolean {
    this.counts.receivedDatagrams += 1;
    this.counts.nativeCalls += 1;
    try {
      this.#native.recv(datagram, info);
      return true;
    } catch (error) {
      this.#blame(error);
      return false;
    }
  }

  /** Writes the next datagram into `out`; null when there is none now. */
  send(out: Uint8Array): [length: number, info: SendInfo] | null {
    this.counts.nativeCalls += 1;
    try {
      const sent = this.#native.send(out);
      if (sent === null) this.#wantsToSend = false;
      return sent;
    } catch (error) {
      this.#blame(error);
      return null;
    }
  }

  /** Writes the next datagram of one path into `out`. Returns its length, 0 when there is none now. */
  sendOnPath(out: Uint8Array, { from, to }: RecvInfo): number {
    // Named from the receiver's end of it.
    return this.#ask((native) => native.sendOnPath(out, to, from)?.[0] ?? 0, 0);
  }

  /**
   * Tells quiche that the congestion window, and not us, ended the last flight, so that it lets the window grow. quiche concludes
   * that by itself only from bytes it holds and cannot send. Returns the length of a datagram it wrote into `out` nevertheless.
   */
  claimWindowLimited(out: Uint8Array): number {
    this.ping();
    // Too small for any packet with a connection id of 8 bytes or more, which quiche takes for a full window.
    return this.send(out.subarray(0, tooSmallBytes))?.[0] ?? 0;
  }

  /** Reads a stream into `out`: how much, and whether that was the end; null when there is nothing now. */
  streamReceive(
    streamId: number,
    out: Uint8Array,
  ): [length: number, fin: boolean] | QuicheFault | null {
    this.counts.nativeCalls += 1;
    try {
      return this.#native.streamRecv(streamId, out);
    } catch (error) {
      return quicheFault(error);
    }
  }

  /** Hands over bytes of a stream, and its end: how many were taken; null when none can be now. */
  streamSend(streamId: number, bytes: Uint8Array, fin: boolean): number | QuicheFault | null {
    this.counts.nativeCalls += 1;
    if (fin || bytes.length > 0) this.#wantsToSend = true;
    try {
      return this.#native.streamSend(streamId, bytes, fin);
    } catch (error) {
      return quicheFault(error);
    }
  }

  /** Bytes of the stream that quiche would take now; limited by flow and congestion control. */
  streamCapacity(streamId: number): number | QuicheFault {
    this.counts.nativeCalls += 1;
    try {
      return this.#native.streamCapacity(streamId);
    } catch (error) {
      return quicheFault(error);
    }
  }

  /** Resets (Write) or stops (Read) a stream. Where there is nothing to shut down, nothing happens. */
  streamShutdown(streamId: number, side: keyof typeof ShutdownSide, code: number): void {
    this.counts.nativeCalls += 1;
    this.#wantsToSend = true;
    try {
      this.#native.streamShutdown(streamId, ShutdownSide[side], code);
    } catch {
      // The stream is gone, which is what was asked for.
    }
  }

  /** Whether the peer's part of the stream has been received to its end, or the stream is gone. */
  streamFinished(streamId: number): boolean {
    return this.#ask((native) => native.streamFinished(streamId), true);
  }

  /** Streams the peer lets us open now. */
  streamsLeft(): number {
    return this.#ask((native) => native.peerStreamsLeftBidi(), 0);
  }

  /** Whether any stream has something to read. */
  isReadable(): boolean {
    return this.#ask((native) => native.isReadable(), false);
  }

  /** Whether this stream has something to read. */
  streamReadable(streamId: number): boolean {
    return this.#ask((native) => native.streamReadable(streamId), false);
  }

  /**
   * Calls back with the id of every stream that has something to read, those {@link setAside} last, until the callback returns
   * false. To ask for the list costs as much as fifty other calls.
   */
  forEachReadable(visit: (streamId: number) => boolean): void {
    for (const streamId of this.#ask((native) => native.readable(), noStreams)) {
      this.counts.nativeCalls += 1;
      if (!visit(streamId)) return;
    }
  }

  /** Puts an existing stream behind those with something to read, or back among them. */
  setAside(streamId: number, aside: boolean): void {
    this.counts.nativeCalls += 1;
    try {
      this.#native.streamPriority(streamId, aside ? lastUrgency : usualUrgency, true);
    } catch {
      // The stream is gone, and not readable any more.
    }
  }

  /** Time until {@link onTimeout} is due. */
  timeout(): Millis | undefined {
    const left = this.#ask((native) => native.timeout(), null);
    return left === null ? undefined : millis(Math.max(0, left));
  }

  onTimeout(): void {
    this.#wantsToSend = true;
    this.#ask((native) => native.onTimeout(), undefined);
  }

  /** The next event of the connection's paths; these pile up in quiche until they are taken. */
  nextPathEvent(): PathEvent | null {
    return this.#ask((native) => native.pathEventNext(), null);
  }

  /** The next of our connection ids that the peer has given up. */
  nextRetiredId(): Uint8Array | null {
    return this.#ask((native) => native.retiredScidNext(), null);
  }

  /** Gives the peer a spare connection id. Returns false if it takes no more. */
  offerId(id: Uint8Array, resetToken: bigint): boolean {
    this.counts.nativeCalls += 1;
    this.#wantsToSend = true;
    try {
      this.#native.newSourceCid(id, resetToken, false);
      return true;
    } catch {
      return false;
    }
  }

  /** Makes the next datagram one that the peer must acknowledge. */
  ping(): void {
    this.#wantsToSend = true;
    this.#ask((native) => native.sendAckEliciting(), undefined);
  }

  /** Queues a CONNECTION_CLOSE of the application (RFC 9000 §19.19). */
  close(code: number, reason: Uint8Array): void {
    this.#wantsToSend = true;
    this.#ask((native) => native.close(true, code, reason), null);
  }

  isEstablished(): boolean {
    return this.#ask((native) => native.isEstablished(), false);
  }

  /** Whether the connection is over, or only waits for its draining time to pass. */
  isOver(): boolean {
    return this.#ask((native) => native.isClosed() || native.isDraining(), true);
  }

  isTimedOut(): boolean {
    return this.#ask((native) => native.isTimedOut(), false);
  }

  /** The peer's certificates, DER, its own first. */
  peerCertificates(): readonly Uint8Array[] {
    return this.#ask((native) => native.peerCertChain(), null) ?? [];
  }

  /** The ALPN protocol agreed on; empty if none. */
  protocol(): string {
    return Buffer.from(this.#ask((native) => native.applicationProto(), noBytes)).toString();
  }

  /** With which words the peer closed. */
  peerError(): StatedError | undefined {
    return stated(this.#ask((native) => native.peerError(), null));
  }

  /** With which words we, or quiche for us, closed. */
  localError(): StatedError | undefined {
    return stated(this.#ask((native) => native.localError(), null));
  }

  stats(): Stats | undefined {
    return this.#ask((native) => native.stats(), undefined);
  }

  /** What has passed, as callers of the engine see it. */
  traffic(): Omit<QuicConnectionStats, "openStreams"> {
    const stats = this.stats();
    return {
      sentBytes: stats?.sentBytes ?? 0,
      receivedBytes: stats?.recvBytes ?? 0,
      sentDatagrams: stats?.sent ?? 0,
      receivedDatagrams: stats?.recv ?? 0,
      lostDatagrams: stats?.lost ?? 0,
      rttMs: this.activePath()?.rttMs ?? 0,
    };
  }

  activePath(): ActivePath | undefined {
    const paths = this.#ask((native) => native.pathStats(), []);
    const path = paths.find(({ active }) => active) ?? paths[0];
    if (path === undefined) return undefined;
    return { peer: path.peerHost, rttMs: path.rtt, congestionWindowBytes: path.cwnd };
  }

  #ask<T>(call: (native: NativeConnection) => T, otherwise: T): T {
    this.counts.nativeCalls += 1;
    try {
      return call(this.#native);
    } catch (error) {
      this.#blame(error);
      return otherwise;
    }
  }

  #blame(error: unknown): void {
    this.#fault ??= quicheFault(error);
  }
}

function stated(
  error: {
    readonly isApp: boolean;
    readonly errorCode: number;
    readonly reason: Uint8Array;
  } | null,
): StatedError | undefined {
  if (error === null) return undefined;
  return {
    isApp: error.isApp,
    code: error.errorCode,
    reason: Buffer.from(error.reason).toString(),
  };
}

const noStreams: readonly number[] = [];
/** Urgencies of quiche, which it orders readable streams by (RFC 9218 §4.1 in another scale). */
const usualUrgency = 127;
const lastUrgency = 255;
const noBytes = new Uint8Array(0);
/** The longest short header fits, its packet number and tag do not: 1 + 20 <= 24 < 1 + 8 + 1 + 16. */
const tooSmallBytes = 24;
