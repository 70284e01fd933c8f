import {
  encodeFrameHeader,
  formatByteCount,
  formatControlMessage,
  formatErrorBody,
  noConnection,
  type ConnectionError,
  type ControlMessage,
  type MproxyFrameKind,
} from "@culvert/wire";
import type { Carrier } from "./carrier.ts";
import { FrameBatch } from "./frame-batch.ts";
import type { ConnectionMeta, TunnelSettings } from "./tunnel-api.ts";
import type { TunnelStream } from "./tunnel-stream.ts";

/** What a writer counts. */
export interface WriterCounts {
  readonly sentBytes: number;
  readonly sentFrames: number;
}

/** What a writer tells its tunnel. */
export interface WriterHooks {
  /** Something was handed to the carrier. */
  wrote(): void;
  /** A frame could not be made. */
  failed(error: unknown): void;
  /** A peer that does not read makes us owe it more than `maxOwedBytes`. */
  overOwed(): void;
}

/**
 * Decides what goes to the carrier next, and never puts more there than it takes soon: first what the tunnel owes (control
 * messages, resets), then what streams have to tell (that they are open, credit), then one frame of each stream that has bytes,
 * in turn.
 */
export class TunnelWriter {
  readonly #carrier: Carrier;
  readonly #settings: Pick<TunnelSettings, "aheadBytes" | "frameBytes" | "maxOwedBytes">;
  readonly #hooks: WriterHooks;
  readonly #batch = new FrameBatch();
  readonly #owed: Uint8Array[] = [];
  #owedBytes = 0;
  readonly #telling = new Set<TunnelStream>();
  readonly #sending = new Set<TunnelStream>();
  #scheduled = false;
  #blocked = false;
  #over = false;
  #sentBytes = 0;
  #sentFrames = 0;

  constructor(carrier: Carrier, settings: TunnelSettings, hooks: WriterHooks) {
    this.#carrier = carrier;
    this.#settings = settings;
    this.#hooks = hooks;
  }

  get counts(): WriterCounts {
    return { sentBytes: this.#sentBytes, sentFrames: this.#sentFrames };
  }

  control(message: ControlMessage): void {
    const body = formatControlMessage(message);
    this.#owe(frameHeader("control", undefined, body.length), body);
  }

  /** As {@link control}, but never too much: the bound is for what a peer makes us say. */
  lastControl(message: ControlMessage): void {
    const body = formatControlMessage(message);
    this.#owed.push(frameHeader("control", undefined, body.length), body);
  }

  reset(meta: ConnectionMeta, error: ConnectionError): void {
    const body = formatErrorBody(error);
    this.#owe(frameHeader("error", meta, body.length), body);
  }

  /** The stream has a frame to send. */
  sending(stream: TunnelStream): void {
    this.#sending.add(stream);
    this.#schedule();
  }

  /** The stream has something to tell. */
  telling(stream: TunnelStream): void {
    this.#telling.add(stream);
    this.#schedule();
  }

  forget(stream: TunnelStream): void {
    this.#telling.delete(stream);
    this.#sending.delete(stream);
  }

  /** The carrier takes bytes again. */
  drained(): void {
    this.#blocked = false;
    this.#pump();
  }

  /** Hands over what the tunnel owes, whatever the carrier holds, and nothing after it. */
  finish(): void {
    if (this.#over) return;
    this.#over = true;
    this.#telling.clear();
    this.#sending.clear();
    const owed = this.#owed.splice(0);
    if (owed.length > 0) this.#carrier.write(owed);
  }

  #owe(header: Uint8Array, body: Uint8Array): void {
    if (this.#over) return;
    this.#owed.push(header, body);
    this.#owedBytes += header.length + body.length;
    this.#sentFrames += 1;
    if (this.#owedBytes > this.#settings.maxOwedBytes) this.#hooks.overOwed();
    else this.#schedule();
  }

  /** Later in this turn, so that what is written together leaves together. */
  #schedule(): void {
    if (this.#scheduled || this.#over) return;
    this.#scheduled = true;
    process.nextTick(() => {
      this.#scheduled = false;
      this.#pump();
    });
  }

  #pump(): void {
    try {
      while (!this.#over && this.#round());
    } catch (error) {
      // A frame that cannot be is a defect of ours; it costs the tunnel, and never the process.
      this.#hooks.failed(error);
    }
  }

  /** Fills the carrier once; returns whether there was anything. */
  #round(): boolean {
    if (this.#blocked) return false;
    const { aheadBytes, frameBytes } = this.#settings;
    const room = Math.max(frameBytes, aheadBytes - this.#carrier.bufferedBytes);
    const done: (() => void)[] = [];
    this.#addOwed();
    this.#addTold(room, done);
    this.#addFrames(room, done);
    if (this.#batch.bytes === 0) return false;
    // Writers go on only then: until it is sent the memory is not theirs again.
    this.#blocked = !this.#carrier.write(this.#batch.take(), () => {
      for (const callback of done) callback();
    });
    this.#hooks.wrote();
    return true;
  }

  #addOwed(): void {
    for (const piece of this.#owed) this.#batch.add(piece);
    this.#owed.length = 0;
    this.#owedBytes = 0;
  }

  #addTold(room: number, done: (() => void)[]): void {
    for (const stream of this.#telling) {
      if (this.#batch.bytes >= room) return;
      this.#telling.delete(stream);
      if (stream.unannounced) {
        this.#sending.delete(stream);
        // Before the streams whose turn it is: a new connection's first bytes do not wait.
        this.#addFrame(stream, this.#settings.frameBytes, done);
        if (stream.hasFrame) this.#sending.add(stream);
      }
      const flow = stream.takeFlowFrame();
      if (flow === undefined) continue;
      const body = formatByteCount(flow.readBytes);
      this.#batch.add(frameHeader(flow.word, stream.meta, body.length));
      this.#batch.add(body);
      this.#sentFrames += 1;
    }
  }

  /** One frame of each in turn: a set gives its members in the order they were put in. */
  #addFrames(room: number, done: (() => void)[]): void {
    for (const stream of this.#sending) {
      if (this.#batch.bytes >= room) return;
      this.#sending.delete(stream);
      this.#addFrame(stream, this.#settings.frameBytes, done);
      if (stream.hasFrame) this.#sending.add(stream);
    }
  }

  #addFrame(stream: TunnelStream, maxBytes: number, done: (() => void)[]): void {
    const frame = stream.takeFrame(maxBytes);
    if (frame === undefined) return;
    this.#batch.add(frameHeader(frame.kind, stream.meta, frame.length));
    for (const piece of frame.body) this.#batch.add(piece);
    this.#sentBytes += frame.length;
    this.#sentFrames += 1;
    if (frame.done !== undefined) done.push(frame.done);
  }
}

/** The header of a frame of this connection. @throws WireError as `encodeFrameHeader`. */
export function frameHeader(
  kind: MproxyFrameKind,
  meta: ConnectionMeta | undefined,
  length: number,
): Uint8Array {
  return encodeFrameHeader({
    kind,
    connection: meta?.id ?? noConnection,
    service: meta?.service,
    servicePort: meta?.servicePort,
    name: meta?.name,
    length,
  });
}
