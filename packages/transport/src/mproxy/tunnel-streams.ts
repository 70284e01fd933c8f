import { LimitError, TransportError, WireError } from "@culvert/runtime";
import {
  connectionKey,
  mproxyDefaults,
  quoteText,
  type ConnectionError,
  type ConnectionId,
  type MproxyFrame,
} from "@culvert/wire";
import type { FlowWord } from "./credit.ts";
import { endsBoth, type DialectRules, type EndRules } from "./dialect.ts";
import type {
  ConnectionHandler,
  ConnectionMeta,
  TunnelAgreement,
  TunnelDropReason,
  TunnelSettings,
} from "./tunnel-api.ts";
import type { TunnelLinger } from "./tunnel-linger.ts";
import type { FrameSink } from "./tunnel-reader.ts";
import { TunnelStream, type StreamOwner } from "./tunnel-stream.ts";
import { frameHeader, type TunnelWriter } from "./tunnel-writer.ts";

/** What the connections of a tunnel are made from. */
export interface TunnelStreamsDeps {
  readonly rules: DialectRules;
  readonly settings: TunnelSettings;
  readonly writer: TunnelWriter;
  readonly linger: TunnelLinger;
  /** So many more bytes wait for readers; fewer, if negative. */
  readonly unreadChanged: (bytes: number) => void;
}

/** The open connections of one tunnel, and what becomes of frames for others. */
export class TunnelStreams implements FrameSink {
  readonly drops: Record<TunnelDropReason, number> = {
    late_frame: 0,
    unknown_connection: 0,
    too_many_streams: 0,
    window_exceeded: 0,
    reader_gone: 0,
  };
  readonly #deps: TunnelStreamsDeps;
  readonly #open = new Map<string, TunnelStream>();
  readonly #ours = new Set<TunnelStream>();
  readonly #flushWaits: (() => void)[] = [];
  readonly #owner: StreamOwner;
  #onConnection: ConnectionHandler | undefined;
  #ends: EndRules;
  #sendWindowBytes: number;
  #maxOurs: number;
  #receivedBytes = 0;
  #over = false;

  constructor(deps: TunnelStreamsDeps) {
    this.#deps = deps;
    this.#ends = deps.rules;
    this.#sendWindowBytes = deps.settings.windowBytes;
    this.#maxOurs = deps.settings.maxStreams;
    this.#owner = {
      wantsToSend: (stream) => deps.writer.sending(stream),
      wantsToTell: (stream) => deps.writer.telling(stream),
      unreadChanged: deps.unreadChanged,
      dropped: (reason) => (this.drops[reason] += 1),
      released: (stream, reset) => this.#release(stream, reset),
    };
  }

  get size(): number {
    return this.#open.size;
  }

  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  /** Whether connections may be opened. */
  get allowed(): boolean {
    return this.#onConnection !== undefined;
  }

  allow(onConnection: ConnectionHandler, agreement: TunnelAgreement): void {
    this.#onConnection = onConnection;
    if (agreement.halfClose === false) this.#ends = endsBoth;
    this.#sendWindowBytes = agreement.sendWindowBytes ?? this.#sendWindowBytes;
    this.#maxOurs = agreement.maxStreams ?? this.#maxOurs;
  }

  /** @throws as `Tunnel.open` does, but for a tunnel that is over. */
  openOurs(meta: ConnectionMeta, firstBytes: Uint8Array | undefined): TunnelStream {
    const { rules, settings, writer } = this.#deps;
    if (this.#ours.size >= this.#maxOurs) {
      const text = `the peer allows ${this.#maxOurs} connections at a time`;
      const data = { limit: this.#maxOurs, name: "maxStreams" };
      throw new LimitError("too_many_streams", text, { data });
    }
    // The longest header it will ever have, so that none fails later.
    frameHeader("connection", meta, settings.maxFrameBytes);
    if (this.#open.has(connectionKey(meta.id))) {
      throw new TransportError("refused", "a connection with this id is still open");
    }
    rules.ids.opening(meta.id);
    const stream = this.#create(meta, false);
    this.#ours.add(stream);
    if (firstBytes !== undefined) stream.putFirst(firstBytes);
    writer.telling(stream);
    return stream;
  }

  body(frame: MproxyFrame): TunnelStream | undefined {
    this.#mustBeAllowed(frame.kind);
    if (frame.kind === "connection") return this.#accept(frame);
    return this.#open.get(connectionKey(frame.connection)) ?? this.#strayData(frame);
  }

  bytes(stream: TunnelStream, bytes: Uint8Array): void {
    this.#receivedBytes += bytes.length;
    if (stream.receive(bytes)) return;
    this.drops.window_exceeded += 1;
    const text = "the peer sends more than it was allowed";
    stream.destroy(new LimitError("queue_full", text, { data: { name: "windowBytes" } }));
  }

  end(id: ConnectionId): void {
    const stream = this.#find("end", id);
    if (stream === undefined) return;
    stream.receiveEnd();
    this.#watchHalfClosed(stream);
  }

  error(id: ConnectionId, error: ConnectionError): void {
    const stream = this.#find("error", id);
    // Where an end was for both directions, what had come before it is still read.
    if (stream?.peerEnded === true && !this.#ends.repliesAfterEnd) return;
    stream?.receiveReset(resetError(id, error));
  }

  flow(id: ConnectionId, word: FlowWord, readBytes: number | undefined): void {
    this.#mustBeAllowed(word);
    const stream = this.#open.get(connectionKey(id));
    if (stream !== undefined) stream.receiveFlow(word, readBytes);
    else if (this.#deps.rules.ids.stray(id) === "refuse") this.#refuse(id);
    else this.drops.late_frame += 1;
  }

  /** Whether no stream that was ended has anything left to hand over; if not, `retry` is called when that may have changed. */
  flushed(retry: () => void): boolean {
    if (![...this.#open.values()].some((stream) => stream.ending)) return true;
    this.#flushWaits.push(retry);
    return false;
  }

  /** The tunnel is over: every stream is, at once if we ended it, else when what had arrived is read. */
  finish(error: Error, byUs: boolean): void {
    this.#over = true;
    for (const stream of [...this.#open.values()]) {
      if (byUs) stream.receiveReset(error);
      else stream.loseTunnel(error);
    }
    this.#tellFlushed();
  }

  /** Opens the connection the peer asks for; undefined where it has too many. */
  #accept(frame: MproxyFrame): TunnelStream | undefined {
    const { rules, settings, writer } = this.#deps;
    const id = frame.connection;
    rules.ids.opened(id);
    // The public client uses its port again, before we knew of the end of its last connection.
    this.#open
      .get(connectionKey(id))
      ?.receiveReset(resetError(id, { message: "opened anew", code: "E_REPLACED" }));
    const { service = "", servicePort = "", name = "" } = frame;
    const meta: ConnectionMeta = { id, service, servicePort, name };
    this.#mustBeAnswerable(meta);
    if (this.#open.size - this.#ours.size >= settings.maxStreams) {
      this.drops.too_many_streams += 1;
      writer.reset(meta, { message: "too many connections", code: "E_TOO_MANY" });
      rules.ids.released(id, false);
      return undefined;
    }
    const stream = this.#create(meta, true);
    this.#onConnection?.(meta, stream);
    return stream;
  }

  /** What we will say on the connection must fit into headers, or the peer asks for what cannot be. @throws WireError */
  #mustBeAnswerable(meta: ConnectionMeta): void {
    frameHeader("data", meta, this.#deps.settings.frameBytes);
    frameHeader("resume", meta, mproxyDefaults.maxNumberBytes);
    frameHeader("error", meta, mproxyDefaults.maxErrorBytes);
  }

  #strayData(frame: MproxyFrame): TunnelStream | undefined {
    const fate = this.#deps.rules.ids.stray(frame.connection);
    if (fate === "open" && frame.length > 0) return this.#accept(frame);
    if (fate === "refuse") this.#refuse(frame.connection);
    else this.drops.late_frame += 1;
    return undefined;
  }

  /** The stream an `end` or `error` is for. Where it is not open, what might be remembered of it is forgotten. */
  #find(word: "end" | "error", id: ConnectionId): TunnelStream | undefined {
    this.#mustBeAllowed(word);
    const stream = this.#open.get(connectionKey(id));
    if (stream !== undefined) return stream;
    const { ids } = this.#deps.rules;
    ids.stray(id);
    ids.peerEnded(id);
    this.drops.late_frame += 1;
    return undefined;
  }

  #refuse(id: ConnectionId): void {
    this.drops.unknown_connection += 1;
    const meta: ConnectionMeta = { id, service: "", servicePort: "", name: "" };
    this.#deps.writer.reset(meta, { message: "no such connection", code: "E_NO_CONN" });
  }

  #create(meta: ConnectionMeta, announced: boolean): TunnelStream {
    const { rules } = this.#deps;
    const stream = new TunnelStream(this.#owner, meta, {
      credit: rules.credit(this.#sendWindowBytes),
      announced,
      repliesAfterEnd: this.#ends.repliesAfterEnd,
    });
    this.#open.set(connectionKey(meta.id), stream);
    stream.once("finish", () => {
      this.#tellFlushed();
      this.#watchHalfClosed(stream);
    });
    return stream;
  }

  #watchHalfClosed(stream: TunnelStream): void {
    if (!this.#ends.halfClose) this.#deps.linger.watch(stream);
  }

  #release(stream: TunnelStream, reset: ConnectionError | undefined): void {
    const { rules, writer } = this.#deps;
    const key = connectionKey(stream.meta.id);
    this.#ours.delete(stream);
    writer.forget(stream);
    if (this.#open.get(key) === stream) {
      this.#open.delete(key);
      rules.ids.released(stream.meta.id, stream.peerEnded);
    }
    if (reset !== undefined && !this.#over) writer.reset(stream.meta, reset);
    this.#tellFlushed();
  }

  #tellFlushed(): void {
    for (const retry of this.#flushWaits.splice(0)) retry();
  }

  #mustBeAllowed(what: string): void {
    if (this.#onConnection !== undefined) return;
    throw new WireError("unexpected_message", `a ${what} frame before connections are allowed`);
  }
}

function resetError({ port }: ConnectionId, { message, code }: ConnectionError): TransportError {
  const why = message === "" ? "" : `: ${quoteText(message, maxShownLength)}`;
  const known = /^[A-Za-z0-9_]{1,40}$/.test(code) ? code : "E_UNKNOWN_ERR";
  const text = `the peer reset connection ${port}${why}`;
  return new TransportError("stream_reset", text, { data: { code: known } });
}

const maxShownLength = 200;
