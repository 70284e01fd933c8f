import type { Duplex } from "node:stream";
import type { Clock, CloseReason, Timer } from "@culvert/runtime";
import type { WebSocket } from "ws";
import { carrierDefaults } from "./carrier-defaults.ts";
import type { Carrier, CarrierHandlers } from "./carrier.ts";
import { channelBindingOf } from "./channel-binding.ts";
import { failed } from "./stream-carrier.ts";
import { protocolError } from "./tunnel-goodbye.ts";

/** What a {@link WebSocketCarrier} is made from. */
export interface WebSocketCarrierOptions {
  readonly clock: Clock;
  /** The socket under the WebSocket: TLS where that ends in this process. */
  readonly socket: Duplex;
  /** Where the peer is, for logs and status. */
  readonly remote: string;
}

/**
 * A carrier over an open WebSocket (RFC 6455), which it owns. Frames of the tunnel and messages need not coincide: the bytes of
 * binary messages, one behind the other, are the tunnel's. Text is the peer's fault.
 */
export class WebSocketCarrier implements Carrier {
  readonly kind = "websocket";
  readonly remote: string;
  readonly #clock: Clock;
  readonly #webSocket: WebSocket;
  readonly #socket: Duplex;
  #handlers: CarrierHandlers | undefined;
  #full = false;
  #reason: CloseReason | undefined;
  #failure: Error | undefined;
  #closeTimer: Timer | undefined;
  #over = false;

  constructor(webSocket: WebSocket, { clock, socket, remote }: WebSocketCarrierOptions) {
    this.remote = remote;
    this.#clock = clock;
    this.#webSocket = webSocket;
    this.#socket = socket;
    // Messages of several fragments are passed on as they are, not copied into one.
    webSocket.binaryType = "fragments";
    webSocket.on("error", (error) => (this.#failure ??= error));
    socket.on("error", (error: Error) => (this.#failure ??= error));
    webSocket.on("close", (code, text) => this.#onClose(code, String(text)));
    webSocket.on("message", (message, isBinary) => this.#onMessage(message, isBinary));
    webSocket.on("ping", () => this.#handlers?.alive());
    webSocket.on("pong", () => this.#handlers?.alive());
    webSocket.pause();
  }

  get bufferedBytes(): number {
    return this.#webSocket.bufferedAmount;
  }

  write(chunks: readonly Uint8Array[], sent?: () => void): boolean {
    if (this.#reason !== undefined) return true;
    const last = chunks.length - 1;
    this.#socket.cork();
    for (const [index, chunk] of chunks.entries())
      this.#send(chunk, index === last ? sent : undefined);
    this.#socket.uncork();
    this.#full ||= this.bufferedBytes >= carrierDefaults.highWaterBytes;
    return !this.#full;
  }

  start(handlers: CarrierHandlers): void {
    this.#handlers = handlers;
    if (this.#over) handlers.closed(this.#reason ?? abnormal(1006, "", this.#failure));
    else this.#webSocket.resume();
  }

  pause(): void {
    if (this.#reason === undefined) this.#webSocket.pause();
  }

  resume(): void {
    if (this.#handlers !== undefined) this.#webSocket.resume();
  }

  close(reason: CloseReason): void {
    this.#close(reason, reason.code === protocolError ? closeCode.protocol : closeCode.normal);
  }

  channelBinding(): Uint8Array | undefined {
    return channelBindingOf(this.#socket);
  }

  ping(): void {
    if (this.#reason === undefined) this.#webSocket.ping();
  }

  /** In messages of a size that every peer takes. */
  #send(chunk: Uint8Array, sent: (() => void) | undefined): void {
    const { sentMessageBytes } = carrierDefaults;
    let rest = chunk;
    while (rest.length > sentMessageBytes) {
      this.#webSocket.send(rest.subarray(0, sentMessageBytes), sendOptions);
      rest = rest.subarray(sentMessageBytes);
    }
    this.#webSocket.send(rest, sendOptions, () => {
      sent?.();
      this.#onWritten();
    });
  }

  readonly #onWritten = (): void => {
    if (!this.#full || this.bufferedBytes > carrierDefaults.lowWaterBytes) return;
    this.#full = false;
    if (this.#reason === undefined) this.#handlers?.drain();
  };

  #onMessage(message: unknown, isBinary: boolean): void {
    if (!isBinary) {
      const text = "the peer sent text where only binary messages are allowed";
      this.#close({ by: "peer-stack", code: "text_message", text }, closeCode.unsupported);
      return;
    }
    for (const bytes of message as readonly Uint8Array[]) {
      if (this.#reason === undefined && bytes.length > 0) this.#handlers?.data(bytes);
    }
  }

  #close(reason: CloseReason, code: number): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    this.#closeTimer = this.#clock.setTimer(carrierDefaults.closeTimeout, () =>
      this.#webSocket.terminate(),
    );
    // What waits in front of the peer's own close has to be read.
    this.#webSocket.resume();
    this.#webSocket.close(code, cutText(reason.text));
  }

  #onClose(code: number, text: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#closeTimer?.cancel();
    this.#socket.destroy();
    this.#reason ??= abnormal(code, text, this.#failure);
    this.#handlers?.closed(this.#reason);
  }
}

function abnormal(code: number, text: string, failure: Error | undefined): CloseReason {
  if (failure !== undefined && /^(WS_ERR|HPE)_/.test(String((failure as { code?: string }).code))) {
    return { by: "peer-stack", code: "websocket_protocol", text: failure.message };
  }
  if (code === closeCode.none) {
    if (failure !== undefined) return failed(failure);
    return { by: "network", code: "cut", text: "the WebSocket was cut" };
  }
  if (code === closeCode.normal || code === closeCode.goingAway) {
    return { by: "peer-app", code: "closed", text };
  }
  const by = faultCodes.has(code) ? "peer-stack" : "peer-app";
  return { by, code: `websocket_${code}`, text };
}

/** As much of a text as a close frame holds (RFC 6455 §5.5), whole characters. */
function cutText(text: string): string {
  let cut = text.slice(0, maxCloseTextBytes);
  while (Buffer.byteLength(cut) > maxCloseTextBytes) cut = cut.slice(0, -1);
  return cut.replace(/[\ud800-\udbff]$/, "");
}

const sendOptions = { binary: true, compress: false } as const;
/** RFC 6455 §7.4.1. `none`: the connection ended without a close frame. */
const closeCode = { normal: 1000, goingAway: 1001, protocol: 1002, unsupported: 1003, none: 1006 };
/** The peer's WebSocket or tunnel found fault with us: protocol, kind of data, text that is no UTF-8, size. */
const faultCodes: ReadonlySet<number> = new Set([1002, 1003, 1007, 1009]);
const maxCloseTextBytes = 123;
