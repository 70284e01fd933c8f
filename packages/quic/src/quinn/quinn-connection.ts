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
import { StreamOpenings } from "./stream-openings.ts";
import { TrafficCounters } from "./traffic-counters.ts";

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
    this.#acceptNext();
  }

  async openStream(): Promise<QuicStream> {
    const native = await this.#openings.take();
    // The connection may have ended between the grant and this turn.
    if (this.#over !== undefined) throw closedError(this.#over);
    return this.#wrap(native, this.#options.side);
  }

  close(reason: CloseReason): void {
    if (this.#over !== undefined) return;
    const sentBefore = this.#native.stats().udpTxDatagrams;
    this.#native.abort();
    this.#end(reason);
    this.#settleOnceTold(reason, sentBefore, maxTellPolls);
  }

  stats(): QuicConnectionStats {
    return {
      ...this.#traffic.total(),
      rttMs: this.#native.rtt(),
      openStreams: this.#open.size,
    };
  }

  moved(bytes: number): void {
    this.#traffic.moved(bytes);
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
          this.#end(reason);
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

  #end(reason: CloseReason): void {
    this.#over = reason;
    this.streams.drain();
    const error = closedError(reason);
    this.#openings.end(error);
    for (const stream of [...this.#open]) stream.destroy(error);
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
    // Kept up to date by what is left of the counters; the native side must not be read once it is released.
    this.#traffic.total();
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
const tellPoll = millis(1);
const maxTellPolls = 50;
