import {
  BoundedQueue,
  LimitError,
  millis,
  TransportError,
  type Clock,
  type CloseReason,
  type Timer,
} from "@culvert/runtime";
import type { PeerId } from "@culvert/identity";
import type { QuicConnection, QuicConnectionStats, QuicStream, UdpAddress } from "../engine.ts";
import type { QuicSettings } from "../settings.ts";
import type { MemoryFrame, StreamFrame } from "./memory-frame.ts";
import type { MemoryHost } from "./memory-host.ts";
import type { MemoryPipe } from "./memory-pipe.ts";
import { MemoryStream, type StreamOwner } from "./memory-stream.ts";

/** What a memory connection is made from, once the handshake is done. */
export interface MemoryConnectionDeps {
  readonly clock: Clock;
  readonly host: MemoryHost;
  readonly outbound: MemoryPipe;
  readonly inbound: MemoryPipe;
}

/** Who is at the two ends, and what they agreed on. */
export interface MemoryConnectionOptions {
  readonly side: "client" | "server";
  readonly peer: PeerId;
  readonly remote: UdpAddress;
  readonly settings: QuicSettings;
  readonly peerSettings: QuicSettings;
}

/** One end of a connection on a memory network. */
export class MemoryConnection implements QuicConnection, StreamOwner {
  readonly engine = "memory" as const;
  readonly peer: PeerId;
  readonly remote: UdpAddress;
  readonly streams: BoundedQueue<QuicStream>;
  readonly closed: Promise<CloseReason>;
  readonly #deps: MemoryConnectionDeps;
  readonly #settings: QuicSettings;
  readonly #peerSettings: QuicSettings;
  readonly #idleMs: number;
  readonly #open = new Map<number, MemoryStream>();
  readonly #blocked = new Set<MemoryStream>();
  /** Ids below the peer's highest that it has not used yet; bounded by the stream limit. */
  readonly #skippedIds = new Set<number>();
  readonly #counts = { sentBytes: 0, receivedBytes: 0, sentFrames: 0, receivedFrames: 0 };
  #settle: (reason: CloseReason) => void = () => undefined;
  #over: CloseReason | undefined;
  #nextId: number;
  #nextPeerId: number;
  #mayOpen: number;
  #sendCredit: number;
  #owedCredit = 0;
  #heardMs: number;
  #pingedMs: number;
  #timer: Timer | undefined;

  constructor(deps: MemoryConnectionDeps, options: MemoryConnectionOptions) {
    this.#deps = deps;
    this.peer = options.peer;
    this.remote = options.remote;
    this.#settings = options.settings;
    this.#peerSettings = options.peerSettings;
    this.#idleMs = Math.min(options.settings.idleTimeout, options.peerSettings.idleTimeout);
    this.#nextId = options.side === "client" ? 0 : 1;
    this.#nextPeerId = options.side === "client" ? 1 : 0;
    this.#mayOpen = options.peerSettings.maxStreams;
    this.#sendCredit = options.peerSettings.connectionWindowBytes;
    this.streams = new BoundedQueue(Math.max(1, options.settings.maxStreams));
    this.closed = new Promise((resolve) => (this.#settle = resolve));
    this.#heardMs = this.#pingedMs = deps.clock.now();
    deps.inbound.receiver = (frame) => this.#handle(frame);
    deps.inbound.onFailure = () =>
      this.vanish({ by: "network", code: "path_failed", text: "the path failed" });
    this.#armTimer();
  }

  openStream(): Promise<QuicStream> {
    if (this.#over !== undefined) return Promise.reject(closedError(this.#over));
    if (this.#mayOpen === 0) {
      const limit = this.#peerSettings.maxStreams;
      return Promise.reject(
        new LimitError("too_many_streams", `the peer allows ${limit} streams at a time`, {
          data: { limit, name: "maxStreams" },
        }),
      );
    }
    this.#mayOpen -= 1;
    const id = this.#nextId;
    this.#nextId += 4;
    return Promise.resolve(this.#createStream(id));
  }

  /** Frames travel in order, so that a close never overtakes what was sent before it. */
  drain(): Promise<void> {
    return Promise.resolve();
  }

  close(reason: CloseReason): void {
    if (this.#over !== undefined) return;
    this.#transmit({ type: "close", reason });
    this.vanish(reason);
  }

  /** Ends this end without telling the peer; unless we ended it, what had arrived is still read. */
  vanish(reason: CloseReason): void {
    if (this.#over !== undefined) return;
    this.#over = reason;
    this.#timer?.cancel();
    this.#deps.inbound.receiver = undefined;
    const error = closedError(reason);
    for (const untaken of this.streams.drain()) untaken.destroy(error);
    for (const stream of [...this.#open.values()]) {
      if (reason.by === "us") stream.destroy(error);
      else stream.loseConnection(error);
    }
    this.#blocked.clear();
    this.#settle(reason);
  }

  /** Fails the path under the connection; both ends notice. */
  cut(): void {
    this.#deps.inbound.fail();
    this.#deps.outbound.fail();
  }

  stats(): QuicConnectionStats {
    return {
      sentBytes: this.#counts.sentBytes,
      receivedBytes: this.#counts.receivedBytes,
      sentDatagrams: this.#counts.sentFrames,
      receivedDatagrams: this.#counts.receivedFrames,
      lostDatagrams: 0,
      rttMs: 2 * this.#deps.outbound.latency,
      openStreams: this.#open.size,
    };
  }

  send(frame: StreamFrame): void {
    if (frame.type === "data") this.#counts.sentBytes += frame.bytes.length;
    this.#transmit(frame);
  }

  takeCredit(stream: MemoryStream, bytes: number): number {
    const granted = Math.min(bytes, this.#sendCredit);
    this.#sendCredit -= granted;
    if (granted === 0) this.#blocked.add(stream);
    return granted;
  }

  returnCredit(bytes: number): void {
    this.#owedCredit += bytes;
    if (this.#owedCredit < this.#settings.connectionWindowBytes / 4) return;
    this.#transmit({ type: "connection-credit", bytes: this.#owedCredit });
    this.#owedCredit = 0;
  }

  released(stream: MemoryStream): void {
    this.#open.delete(stream.streamId);
    this.#blocked.delete(stream);
    if (this.#isPeers(stream.streamId)) this.#transmit({ type: "streams-credit", streams: 1 });
  }

  #handle(frame: MemoryFrame): void {
    this.#heardMs = this.#deps.clock.now();
    this.#counts.receivedFrames += 1;
    switch (frame.type) {
      case "data":
        this.#counts.receivedBytes += frame.bytes.length;
        {
          this.#handleStreamFrame(frame);
          return;
        }
      case "reset":
      case "stop":
      case "stream-credit": {
        this.#handleStreamFrame(frame);
        return;
      }
      case "connection-credit": {
        this.#handleConnectionCredit(frame.bytes);
        return;
      }
      case "streams-credit":
        this.#mayOpen += frame.streams;
        return;
      case "ping": {
        this.#transmit({ type: "pong" });
        return;
      }
      case "close": {
        this.vanish({ ...frame.reason, by: "peer-app" });
        return;
      }
      default:
        return;
    }
  }

  #handleStreamFrame(frame: StreamFrame): void {
    const stream = this.#open.get(frame.id) ?? this.#acceptStream(frame.id);
    if (stream !== undefined) stream.handle(frame);
    else if (frame.type === "data") this.returnCredit(frame.bytes.length);
  }

  /** Opens the peer's stream `id`, if this is the first frame of it. */
  #acceptStream(id: number): MemoryStream | undefined {
    if (!this.#isPeers(id)) return undefined;
    for (; this.#nextPeerId <= id; this.#nextPeerId += 4) this.#skippedIds.add(this.#nextPeerId);
    if (!this.#skippedIds.delete(id)) return undefined;
    const stream = this.#createStream(id);
    if (this.streams.push(stream)) return stream;
    stream.destroy(
      new LimitError("queue_full", "nobody takes the peer's streams", {
        data: { limit: this.#settings.maxStreams },
      }),
    );
    return undefined;
  }

  #createStream(id: number): MemoryStream {
    const stream = new MemoryStream(this, id, {
      send: this.#peerSettings.streamWindowBytes,
      receive: this.#settings.streamWindowBytes,
    });
    this.#open.set(id, stream);
    return stream;
  }

  #handleConnectionCredit(bytes: number): void {
    this.#sendCredit += bytes;
    const waiting = [...this.#blocked];
    this.#blocked.clear();
    for (const stream of waiting) stream.pump();
  }

  #isPeers(id: number): boolean {
    return id % 4 !== this.#nextId % 4;
  }

  #transmit(frame: MemoryFrame): void {
    if (this.#over !== undefined) return;
    this.#counts.sentFrames += 1;
    this.#deps.outbound.send(frame);
  }

  #armTimer(): void {
    const now = this.#deps.clock.now();
    const pingAt = Math.max(this.#heardMs, this.#pingedMs) + this.#settings.keepAlive;
    const wakeAt = Math.min(this.#heardMs + this.#idleMs, pingAt);
    this.#timer = this.#deps.clock.setTimer(millis(Math.max(0, wakeAt - now)), this.#onTimer);
  }

  readonly #onTimer = (): void => {
    const { clock, host } = this.#deps;
    if (this.#over !== undefined || host.dead) return;
    if (host.frozen) {
      host.runTimerAtThaw(this.#onTimer);
      return;
    }
    const silentMs = clock.now() - this.#heardMs;
    if (silentMs >= this.#idleMs) {
      const text = `nothing heard for ${Math.round(silentMs)} ms`;
      this.vanish({ by: "timeout", code: "idle", text });
      return;
    }
    if (clock.now() - Math.max(this.#heardMs, this.#pingedMs) >= this.#settings.keepAlive) {
      this.#pingedMs = clock.now();
      this.#transmit({ type: "ping" });
    }
    this.#armTimer();
  };
}

function closedError(reason: CloseReason): TransportError {
  return new TransportError("connection_closed", `the connection is closed: ${reason.text}`, {
    data: { by: reason.by, code: reason.code },
  });
}
