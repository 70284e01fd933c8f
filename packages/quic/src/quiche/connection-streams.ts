import { BoundedQueue, LimitError, type CloseReason } from "@culvert/runtime";
import type { QuicStream } from "../engine.ts";
import type { QuicSettings } from "../settings.ts";
import { connectionClosedError } from "./close-reasons.ts";
import { Delivery } from "./delivery.ts";
import type { GuardedConnection } from "./guarded-connection.ts";
import { QuicheStream, type StreamOwner } from "./quiche-stream.ts";
import type { ReadBuffer } from "./read-buffer.ts";
import { SendWindow } from "./send-window.ts";
import { StreamEnds } from "./stream-ends.ts";
import { StreamRemains } from "./stream-remains.ts";

/** What the streams of a connection need of it. */
export interface StreamsDeps {
  readonly link: GuardedConnection;
  readonly readBuffer: ReadBuffer;
  readonly isServer: boolean;
  readonly settings: QuicSettings;
  /** Asks for a turn of the connection. */
  readonly schedule: () => void;
}

/** The streams of one connection: which of them want to send or to be read, and moving their bytes in a turn. */
export class ConnectionStreams implements StreamOwner {
  /** Streams the peer opened. */
  readonly accepted: BoundedQueue<QuicStream>;
  /** What may be handed to quiche now. */
  readonly window: SendWindow;
  /** What of the ended streams has arrived. */
  readonly delivery: Delivery;
  readonly #link: GuardedConnection;
  readonly #settings: QuicSettings;
  readonly #readBuffer: ReadBuffer;
  readonly #schedule: () => void;
  readonly #open = new Map<number, QuicheStream>();
  readonly #remains: StreamRemains;
  /** Which id is next, and by its lowest bit who opened a stream (RFC 9000 §2.1). */
  #nextId: number;
  /** To be tried for sending. */
  #ready = new Set<QuicheStream>();
  /** Tried, and held up by flow control until the peer is heard again. */
  #held = new Set<QuicheStream>();
  readonly #ends: StreamEnds;
  /** The peer was heard since {@link #held} was last tried. */
  #retryHeld = false;
  /** Streams that had something to read a short while ago. */
  readonly #lastRead: number[] = [];
  /** Streams that nobody reads, which are behind the others in quiche. */
  readonly #aside = new Set<QuicheStream>();
  #probe: Iterator<QuicheStream> | undefined;
  #unprobed = 0;
  #over = false;

  constructor(deps: StreamsDeps) {
    this.#link = deps.link;
    this.#settings = deps.settings;
    this.#readBuffer = deps.readBuffer;
    this.#schedule = deps.schedule;
    this.#nextId = deps.isServer ? 1 : 0;
    this.#remains = new StreamRemains(deps.link);
    this.window = new SendWindow(deps.settings.datagramBytes);
    this.#ends = new StreamEnds(deps.link, this.window, deps.settings);
    this.delivery = new Delivery(deps.link);
    this.accepted = new BoundedQueue(Math.max(1, deps.settings.maxStreams));
  }

  /** Streams that are not over. */
  get openCount(): number {
    return this.#open.size;
  }

  /** Whether a FIN or a reset waits to be handed over. */
  get hasEnds(): boolean {
    return this.#ends.size > 0 || this.#remains.hasResets;
  }

  /** Whether {@link sweep} should be called again in a while. */
  get needsSweep(): boolean {
    return this.#unprobed > 0 || this.#remains.size > 0;
  }

  /**
   * Opens a stream; the peer learns of it with its first byte.
   * @throws LimitError `too_many_streams`.
   */
  openStream(): QuicheStream {
    // An empty write makes quiche count the stream at once.
    const opened =
      this.#link.streamsLeft() > 0 ? this.#link.streamSend(this.#nextId, noBytes, false) : null;
    if (typeof opened !== "number") {
      throw new LimitError("too_many_streams", "the peer allows no more streams now", {
        data: { name: "maxStreams", open: this.#open.size },
      });
    }
    const stream = this.#create(this.#nextId);
    this.#nextId += 4;
    return stream;
  }

  /** Passes on everything readable, and takes in new streams. Returns whether there was anything. */
  receive(): boolean {
    if (!this.#link.isReadable()) return false;
    for (const streamId of this.#lastRead) {
      if (this.#link.streamReadable(streamId)) this.#visit(streamId);
    }
    if (this.#lastRead.length > 0 && !this.#link.isReadable()) return true;
    this.#lastRead.length = 0;
    this.#link.forEachReadable(this.#visitNew);
    return true;
  }

  /** Datagrams came in: what was held up may go on, and the peer may have stopped any stream. */
  heard(): void {
    this.#retryHeld = true;
    this.window.heard();
    this.#unprobed = this.#open.size;
  }

  /**
   * Hands bytes of waiting streams to quiche, as many as fit `datagrams` of them, in turns of {@link quantumBytes}. Returns whether
   * some were, and more would have been if a window had had room for them.
   */
  send(datagrams: number): boolean {
    let left = datagrams;
    let held = false;
    let tries = maxTriesPerTurn;
    if (this.#ready.size === 0 && this.#retryHeld) {
      this.#retryHeld = false;
      [this.#ready, this.#held] = [this.#held, this.#ready];
    }
    for (const stream of this.#ready) {
      if (left <= 0) return false;
      if (tries === 0) {
        this.#schedule();
        break;
      }
      tries -= 1;
      this.#ready.delete(stream);
      const fits = this.window.bytesIn(left);
      const quantum = this.#ready.size === 0 ? fits : Math.min(fits, quantumBytes);
      const taken = stream.pump(this.#link, quantum, this.window);
      // quiche puts bytes of one stream into a packet.
      left -= this.window.datagramsFor(taken);
      if (stream.awaitsFin) this.#ends.add(stream);
      if (!stream.hasBytes) continue;
      held ||= stream.held;
      if (stream.held) this.#held.add(stream);
      else this.#ready.add(stream);
    }
    if (this.#retryHeld && this.#held.size > 0) this.#schedule();
    return held && left < datagrams;
  }

  /** Hands one FIN to quiche, when it has nothing left to send. Returns whether it did, and is to be flushed again. */
  handOverFin(freeSlots: number): boolean {
    return this.#ends.handOver(freeSlots);
  }

  /** Ends a turn of the connection. `nothingInFlight` says that all that was sent is acknowledged. */
  endTurn(nothingInFlight: boolean): void {
    if (this.#ends.endTurn()) this.#schedule();
    if (!nothingInFlight && !this.delivery.awaited) return;
    this.delivery.check(!this.delivery.awaited || this.#allHandedOver(), nothingInFlight);
  }

  /** Sends resets that waited for what was sent before them. Returns whether there is anything new to flush. */
  finishResets(nowMs: number): boolean {
    return this.#remains.finishResets(this.window, nowMs);
  }

  /**
   * Looks at a few streams that wait for nothing whether the peer has stopped or reset them, since quiche tells only who asks. To be
   * called before {@link receive}: whoever takes a new stream is to have his listeners on it first.
   */
  probe(limit = probesPerTurn): void {
    for (let count = Math.min(limit, this.#unprobed); count > 0; count -= 1) {
      this.#unprobed -= 1;
      const stream = this.#nextProbe();
      if (stream === undefined) break;
      if (stream.stalled) stream.lookForReset(this.#link);
      if (stream.sendingOver) continue;
      const capacity = this.#link.streamCapacity(stream.streamId);
      if (typeof capacity !== "number" && capacity.kind === "stopped") {
        stream.handleStopped(capacity.code);
      }
    }
    // An iterator at rest would keep every table that the map has outgrown since.
    if (this.#unprobed === 0) this.#probe = undefined;
  }

  /** Does what is not urgent; see {@link needsSweep}. Returns whether there is anything new to flush. */
  sweep(): boolean {
    this.probe(probesPerSweep);
    return this.#remains.sweep();
  }

  /** The connection is over, and so is every stream; unless we ended it, what had arrived is still read. */
  end(reason: CloseReason): void {
    if (this.#over) return;
    this.#over = true;
    this.delivery.over();
    const error = connectionClosedError(reason);
    for (const untaken of this.accepted.drain()) untaken.destroy(error);
    for (const stream of [...this.#open.values()]) {
      if (reason.by === "us") {
        stream.destroy(error);
      } else {
        stream.drain(this.#link, this.#readBuffer);
        stream.loseConnection(error);
      }
    }
    this.#ready.clear();
    this.#held.clear();
  }

  wantsToSend(stream: QuicheStream): void {
    this.#held.delete(stream);
    if (stream.awaitsFin) this.#ends.add(stream);
    else this.#ready.add(stream);
    this.#schedule();
  }

  wantsToReceive(stream: QuicheStream): void {
    // There are no turns any more, but quiche still has what arrived.
    if (this.#over) {
      stream.drain(this.#link, this.#readBuffer);
      return;
    }
    if (this.#aside.delete(stream)) this.#link.setAside(stream.streamId, false);
    this.#schedule();
  }

  reset(stream: QuicheStream, code: number): void {
    if (this.#over) return;
    this.#remains.reset(stream.streamId, code);
    this.#schedule();
  }

  stop(stream: QuicheStream, code: number): void {
    if (this.#over) return;
    this.#link.streamShutdown(stream.streamId, "Read", code);
    this.#schedule();
  }

  finHandedOver(stream: QuicheStream): void {
    this.delivery.ended(stream.streamId);
  }

  released(stream: QuicheStream, clean: boolean): void {
    this.#open.delete(stream.streamId);
    this.#ready.delete(stream);
    this.#held.delete(stream);
    this.#ends.delete(stream);
    this.#aside.delete(stream);
    if (!clean && !this.#over) this.#remains.add(stream.streamId);
  }

  /** Serves a readable stream. Returns false if the rest waits for readers, however much there is of it. */
  readonly #visit = (streamId: number): boolean => {
    const stream = this.#open.get(streamId) ?? this.#accept(streamId);
    if (stream?.stalled !== true) {
      stream?.drain(this.#link, this.#readBuffer);
      return true;
    }
    if (this.#aside.has(stream)) return false;
    this.#aside.add(stream);
    this.#link.setAside(streamId, true);
    return true;
  };

  readonly #visitNew = (streamId: number): boolean => {
    if (this.#lastRead.length < maxLastRead) this.#lastRead.push(streamId);
    return this.#visit(streamId);
  };

  #allHandedOver(): boolean {
    for (const stream of this.#open.values()) {
      if (stream.writableEnded && !stream.sendingOver) return false;
    }
    return true;
  }

  #accept(streamId: number): QuicheStream | undefined {
    const ours = streamId % 2 === this.#nextId % 2;
    if (ours || this.#remains.has(streamId) || this.#over) {
      // Nobody reads it any more.
      this.#link.streamShutdown(streamId, "Read", 0);
      return undefined;
    }
    const stream = this.#create(streamId);
    // A stop may have come with its first bytes.
    this.#unprobed = this.#open.size;
    if (this.accepted.push(stream)) return stream;
    stream.destroy(
      new LimitError("queue_full", "nobody takes the peer's streams", {
        data: { limit: this.#settings.maxStreams },
      }),
    );
    return undefined;
  }

  #create(streamId: number): QuicheStream {
    const stream = new QuicheStream(this, streamId);
    this.#open.set(streamId, stream);
    return stream;
  }

  #nextProbe(): QuicheStream | undefined {
    const next = this.#probe?.next();
    if (next?.done === false) return next.value;
    this.#probe = this.#open.values();
    const first = this.#probe.next();
    return first.done === true ? undefined : first.value;
  }
}

const noBytes = new Uint8Array(0);
/** Bytes one stream sends before the next one has its turn. */
const quantumBytes = 64 * 1024;
/** Streams tried for sending in one turn, so that thousands of held-up ones do not hold up the event loop. */
const maxTriesPerTurn = 64;
/** Readable streams asked for by name before quiche is asked for a list of all. */
const maxLastRead = 4;
const probesPerTurn = 4;
const probesPerSweep = 512;
