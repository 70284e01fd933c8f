import {
  BoundedQueue,
  errorText,
  InternalError,
  LimitError,
  millis,
  TransportError,
  type Clock,
  type CloseReason,
} from "@culvert/runtime";
import type { PeerId } from "@culvert/identity";
import type { QuicConnection, QuicConnectionStats, QuicStream, UdpAddress } from "../engine.ts";
import type { QuicSettings } from "../settings.ts";
import type { NativeConnection, NativeStream } from "./addon.ts";
import { closeReasonFromQuinn } from "./from-quinn.ts";
import { connectionBytes, maxStreams } from "./native-config.ts";
import { NativeWeight } from "./native-weight.ts";
import { QuinnStream, type StreamOwner } from "./quinn-stream.ts";
import type { RemotePeer } from "./remote-address.ts";
import { SendQuiet } from "./send-quiet.ts";
import { StreamOpenings } from "./stream-openings.ts";
import { TrafficCounters, type Traffic } from "./traffic-counters.ts";

/** What a quinn connection is made from. */
export interface QuinnConnectionOptions extends RemotePeer {
  readonly side: "client" | "server";
  readonly settings: QuicSettings;
  /** Releases what the connection stands on; called once, after its end. */
  readonly release?: (() => void) | undefined;
}

/** An established connection of the quinn engine. */
export class QuinnConnection implements QuicConnection, StreamOwner {
  readonly engine = "quinn" as const;
  readonly peer: PeerId;
  readonly remote: UdpAddress;
  readonly streams: BoundedQueue<QuicStream>;
  readonly closed: Promise<CloseReason>;
  /** Of the native connection. */
  readonly weight: NativeWeight;
  readonly #native: NativeConnection;
  readonly #clock: Clock;
  readonly #options: QuinnConnectionOptions;
  readonly #open = new Set<QuinnStream>();
  readonly #openings: StreamOpenings<NativeStream>;
  readonly #traffic: TrafficCounters;
  readonly #sendQuiet: SendQuiet;
  /** What the counters read last, once the native side is released. */
  #final: Readonly<Traffic & { rttMs: number }> | undefined;
  #settle: (reason: CloseReason) => void = () => undefined;
  #over: CloseReason | undefined;

  constructor(native: NativeConnection, clock: Clock, options: QuinnConnectionOptions) {
    this.#native = native;
    this.weight = new NativeWeight(connectionBytes(options.settings));
    this.#clock = clock;
    this.#options = options;
    this.peer = options.peer;
    this.remote = options.remote;
    this.streams = new BoundedQueue(Math.max(1, maxStreams(options.settings)));
    this.closed = new Promise((resolve) => (this.#settle = resolve));
    this.#traffic = new TrafficCounters(() => native.stats());
    this.#openings = new StreamOpenings(
      { clock, openNative: () => native.outboundStream() },
      { patience: openPatience, maxWaiting: maxWaitingOpenings },
    );
    this.#sendQuiet = new SendQuiet({
      clock,
      readStats: () => native.stats(),
      readRtt: () => native.rtt(),
      isEnding: () => [...this.#open].some((stream) => stream.isEnding),
    });
    this.#acceptNext();
  }

  async openStream(): Promise<QuicStream> {
    const native = await this.#openings.take();
    // The connection may have ended between the grant and this turn.
    if (this.#over !== undefined) throw closedError(this.#over);
    return this.#wrap(native, this.#options.side);
  }

  drain(): Promise<void> {
    return this.#sendQuiet.wait();
  }

  close(reason: CloseReason): void {
    if (this.#over !== undefined) return;
    const sentBefore = this.#native.stats().udpTxDatagrams;
    this.#native.abort();
    const error = this.#end(reason);
    for (const stream of [...this.#open]) stream.destroy(error);
    this.#settleOnceTold(reason, sentBefore, maxTellPolls);
  }

  stats(): QuicConnectionStats {
    const traffic = this.#final ?? { ...this.#traffic.total(), rttMs: this.#native.rtt() };
    return { ...traffic, openStreams: this.#open.size };
  }

  moved(bytes: number): void {
    if (this.#final === undefined) this.#traffic.moved(bytes);
  }

  released(stream: QuinnStream): void {
    this.#open.delete(stream);
  }

  /** One acceptance is always pending: its failure is also how the end of the connection is noticed, with its reason. */
  #acceptNext(): void {
    this.#native
      .inboundStream()
      .then(
        (native) => {
          if (this.#over !== undefined) return;
          this.#accept(native);
          this.#acceptNext();
        },
        (error: unknown) => {
          if (this.#over !== undefined) return;
          const reason = closeReasonFromQuinn(error);
          const lost = this.#end(reason);
          for (const stream of [...this.#open]) stream.loseConnection(lost);
          this.#watchReaders(lost);
          this.#finish(reason);
        },
      )
      .catch((error: unknown) =>
        this.close({ by: "us", code: "engine_fault", text: errorText(error) }),
      );
  }

  #accept(native: NativeStream): void {
    const stream = this.#wrap(native, this.#options.side === "client" ? "server" : "client");
    if (this.streams.push(stream)) return;
    stream.destroy(
      new LimitError("queue_full", "nobody takes the peer's streams", {
        data: { limit: maxStreams(this.#options.settings) },
      }),
    );
  }

  #wrap(native: NativeStream, opener: "client" | "server"): QuinnStream {
    // RFC 9000 §2.1: the lowest bit tells who opened the stream, the next that it is bidirectional.
    const streamId = Number(native.id()) * 4 + (opener === "client" ? 0 : 1);
    if (!Number.isSafeInteger(streamId)) {
      throw new InternalError("engine_fault", `quinn numbers a stream ${native.id()}`);
    }
    const stream = new QuinnStream(native, this, streamId);
    this.#open.add(stream);
    return stream;
  }

  /** Ends everything but the open streams, and returns the error for these. */
  #end(reason: CloseReason): TransportError {
    this.#over = reason;
    this.#sendQuiet.end();
    const error = closedError(reason);
    for (const untaken of this.streams.drain()) untaken.destroy(error);
    this.#openings.end(error);
    return error;
  }

  /** What had arrived before the connection ended is still read, but not kept for ever for a reader that stands still. */
  #watchReaders(error: TransportError): void {
    if (this.#open.size === 0) return;
    const readBefore = new Map([...this.#open].map((stream) => [stream, stream.takenBytes]));
    const look = (): void => {
      for (const [stream, bytes] of readBefore) {
        if (stream.takenBytes === bytes) stream.destroy(error);
      }
      this.#watchReaders(error);
    };
    this.#clock.setTimer(readerPatience, look, { unref: true });
  }

  /**
   * The addon does not say when the peer was told of a close. Waiting until one more datagram has left, for a moment at most, lets
   * a process that ends after `closed` end without cutting its own last words off.
   */
  #settleOnceTold(reason: CloseReason, sentBefore: number, pollsLeft: number): void {
    if (pollsLeft === 0 || this.#native.stats().udpTxDatagrams !== sentBefore) {
      this.#finish(reason);
      return;
    }
    this.#clock.setTimer(tellPoll, () => this.#settleOnceTold(reason, sentBefore, pollsLeft - 1));
  }

  #finish(reason: CloseReason): void {
    // The native side must not be read once it is released.
    this.#final = Object.freeze({ ...this.#traffic.total(), rttMs: this.#native.rtt() });
    this.#settle(reason);
    this.#options.release?.();
  }
}

function closedError(reason: CloseReason): TransportError {
  return new TransportError("connection_closed", `the connection is closed: ${reason.text}`, {
    data: { by: reason.by, code: reason.code },
  });
}

/** A peer that frees a stream tells us within a round trip; longer than this, no caller is kept waiting for one. */
const openPatience = millis(1_000);
/** Callers of openStream that may wait at a time; a burst that the peer allows waits for a turn of the event loop only. */
const maxWaitingOpenings = 16_384;
/** A reader that takes nothing for so long after the end of the connection loses the rest. */
const readerPatience = millis(30_000);
const tellPoll = millis(1);
const maxTellPolls = 50;
