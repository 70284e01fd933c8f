import {
  MproxyDecoder,
  parseByteCount,
  parseControlMessage,
  parseErrorBody,
  type ConnectionError,
  type ConnectionId,
  type ControlMessage,
  type MproxyFrame,
} from "@culvert/wire";
import type { FlowWord } from "./credit.ts";
import type { TunnelSettings } from "./tunnel-api.ts";
import type { TunnelStream } from "./tunnel-stream.ts";

/** Takes the frames of connections. Each call may throw WireError: the peer is at fault, and the tunnel ends. */
export interface FrameSink {
  /** A `connection` or data frame begins: whose bytes follow, or undefined to drop them. */
  body(frame: MproxyFrame): TunnelStream | undefined;
  bytes(stream: TunnelStream, bytes: Uint8Array): void;
  end(id: ConnectionId): void;
  error(id: ConnectionId, error: ConnectionError): void;
  flow(id: ConnectionId, word: FlowWord, readBytes: number | undefined): void;
}

/** Turns the carrier's bytes into calls. Bodies of connections pass through; the few bytes of all others are collected. */
export class TunnelReader {
  readonly #sink: FrameSink;
  readonly #control: (message: ControlMessage) => void;
  readonly #decoder: MproxyDecoder;
  #stopped = false;
  #frame: MproxyFrame | undefined;
  #target: TunnelStream | undefined;
  #collected: Uint8Array[] | undefined;
  #receivedFrames = 0;

  constructor(
    sink: FrameSink,
    control: (message: ControlMessage) => void,
    settings: TunnelSettings,
  ) {
    this.#control = control;
    this.#sink = sink;
    this.#decoder = new MproxyDecoder({
      maxBodyBytes: settings.maxFrameBytes,
      maxControlBytes: settings.maxControlBytes,
    });
  }

  get receivedFrames(): number {
    return this.#receivedFrames;
  }

  /** Whether an end here cuts nothing off. */
  get atBoundary(): boolean {
    return this.#decoder.atBoundary;
  }

  /** Nothing that comes after this is looked at. */
  stop(): void {
    this.#stopped = true;
  }

  /** @throws WireError of the decoder or the sink; the reader is of no use then. */
  push(bytes: Uint8Array): void {
    if (this.#stopped) return;
    for (const event of this.#decoder.push(bytes)) {
      if (event.type === "frame") this.#begin(event.frame);
      else if (event.type === "body") this.#take(event.bytes);
      else this.#end();
      // A handler may have closed the tunnel.
      if (this.#isStopped()) return;
    }
  }

  #isStopped(): boolean {
    return this.#stopped;
  }

  #begin(frame: MproxyFrame): void {
    this.#receivedFrames += 1;
    this.#frame = frame;
    if (frame.kind === "connection" || frame.kind === "data") {
      this.#collected = undefined;
      this.#target = this.#sink.body(frame);
    } else {
      this.#collected = [];
      this.#target = undefined;
    }
  }

  #take(bytes: Uint8Array): void {
    if (this.#target !== undefined) this.#sink.bytes(this.#target, bytes);
    else this.#collected?.push(bytes);
  }

  #end(): void {
    const frame = this.#frame;
    if (frame === undefined || this.#collected === undefined) return;
    const body = Buffer.concat(this.#collected);
    const { kind, connection } = frame;
    if (kind === "control") this.#control(parseControlMessage(body));
    else if (kind === "end") this.#sink.end(connection);
    else if (kind === "error") this.#sink.error(connection, parseErrorBody(body));
    else if (kind === "pause" || kind === "resume") {
      this.#sink.flow(connection, kind, parseByteCount(body));
    }
  }
}
