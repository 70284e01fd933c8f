import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import {
  errorText,
  releaseBuffer,
  type Clock,
  type CloseReason,
  type Timer,
} from "@culvert/runtime";
import { carrierDefaults } from "./carrier-defaults.ts";
import type { Carrier, CarrierHandlers } from "./carrier.ts";
import { channelBindingOf } from "./channel-binding.ts";
import { failed } from "./stream-carrier.ts";
import { protocolError } from "./tunnel-goodbye.ts";
import type { UpgradedWebSocket } from "./upgraded-web-socket.ts";
import { closeCodeOf, WebSocketDecoder, type WebSocketEvent } from "./web-socket-decoder.ts";
import { maxControlFrameBytes, WebSocketCloseCode } from "./web-socket-frame.ts";
import { WebSocketSender } from "./web-socket-sender.ts";

/** What a {@link WebSocketCarrier} is made from. */
export interface WebSocketCarrierOptions {
  readonly clock: Clock;
  /** Where the peer is, for logs and status. */
  readonly remote: string;
}

/**
 * A carrier over an open WebSocket (RFC 6455), whose socket it takes and owns. Frames of the tunnel and messages need not coincide: the
 * bytes of binary messages, one behind the other, are the tunnel's. Text is the peer's fault.
 */
export class WebSocketCarrier implements Carrier {
  readonly kind = "websocket";
  readonly remote: string;
  readonly #clock: Clock;
  readonly #socket: Duplex;
  readonly #decoder: WebSocketDecoder;
  readonly #sender: WebSocketSender;
  /** A chunk of a socket of the system is nobody else's, and the decoder keeps none. */
  readonly #releases: boolean;
  #handlers: CarrierHandlers | undefined;
  #full = false;
  /** Why we have closed it. */
  #reason: CloseReason | undefined;
  /** Why the peer has, or what was wrong with what it sent; nothing after that is read. */
  #heard: CloseReason | undefined;
  #failure: Error | undefined;
  #closing: "no" | "saying" | "said" = "no";
  #closeTimer: Timer | undefined;
  #ponged: (() => void)[] = [];
  #over = false;

  constructor(webSocket: UpgradedWebSocket, { clock, remote }: WebSocketCarrierOptions) {
    this.remote = remote;
    this.#clock = clock;
    const { socket, makeMask, maxMessageBytes } = webSocket.take();
    this.#socket = socket;
    this.#decoder = new WebSocketDecoder({ peerMasks: makeMask === undefined, maxMessageBytes });
    this.#sender = new WebSocketSender(socket, makeMask, () => this.#onWritten());
    this.#releases = socket instanceof Socket;
    socket.pause();
    socket.on("error", (error: Error) => (this.#failure ??= error));
    socket.on("data", (chunk: Uint8Array) => this.#onData(chunk));
    socket.on("end", () => this.#onEnd());
    socket.on("close", () => this.#onClose());
  }

  get bufferedBytes(): number {
    return this.#sender.bufferedBytes;
  }

  write(chunks: readonly Uint8Array[], sent?: () => void): boolean {
    if (this.#ending) return true;
    this.#sender.send(chunks, sent);
    this.#full ||= this.bufferedBytes >= carrierDefaults.highWaterBytes;
    return !this.#full;
  }

  start(handlers: CarrierHandlers): void {
    this.#handlers = handlers;
    if (this.#over) handlers.closed(this.#why());
    else this.#socket.resume();
  }

  pause(): void {
    if (!this.#ending) this.#socket.pause();
  }

  resume(): void {
    if (this.#handlers !== undefined) this.#socket.resume();
  }

  close(reason: CloseReason): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    const { Protocol, Normal } = WebSocketCloseCode;
    this.#sayClose(reason.code === protocolError ? Protocol : Normal, reason.text);
  }

  channelBinding(): Uint8Array | undefined {
    return channelBindingOf(this.#socket);
  }

  /** As {@link Carrier.ping}; `answered` is called at the next pong. */
  ping(answered?: () => void): void {
    if (this.#ending) return;
    if (answered !== undefined) this.#ponged.push(answered);
    this.#sender.ping();
  }

  /** Whether nothing is sent any more but a close frame. */
  get #ending(): boolean {
    return this.#reason !== undefined || this.#heard !== undefined || this.#over;
  }

  readonly #onWritten = (): void => {
    if (!this.#full || this.bufferedBytes > carrierDefaults.lowWaterBytes) return;
    this.#full = false;
    if (!this.#ending) this.#handlers?.drain();
  };

  #onData(chunk: Uint8Array): void {
    // What comes behind a close frame or a fault is read only so that the end can come.
    if (this.#heard !== undefined) return;
    let events: readonly WebSocketEvent[];
    try {
      events = this.#decoder.push(chunk);
    } catch (error) {
      this.#refuse(error);
      return;
    }
    if (this.#releases) releaseBuffer(chunk);
    for (const event of events) this.#handle(event);
    // A large message on a slow path is a sign of life before it is there.
    if (events.length === 0) this.#handlers?.alive();
  }

  #handle(event: WebSocketEvent): void {
    if (event.type === "close") this.#heardClose(event.code, event.text);
    else if (this.#reason !== undefined) return;
    else if (event.type === "bytes") this.#handlers?.data(event.bytes);
    else {
      if (event.type === "ping") this.#sender.pong(event.payload);
      else for (const answered of this.#ponged.splice(0)) answered();
      this.#handlers?.alive();
    }
  }

  #refuse(error: unknown): void {
    const closeCode = closeCodeOf(error);
    const code =
      closeCode === WebSocketCloseCode.Unsupported ? "text_message" : "websocket_protocol";
    const text = errorText(error);
    this.#heard = { by: "peer-stack", code, text };
    this.#sayClose(closeCode, text);
    this.#endWhenSaid();
  }

  #heardClose(code: number | undefined, text: string): void {
    this.#heard = reasonOfClose(code ?? WebSocketCloseCode.Absent, text);
    // Its code is given back (RFC 6455 §5.5.1).
    this.#sayClose(code, text);
    this.#endWhenSaid();
  }

  #onEnd(): void {
    this.#watchEnd();
    if (this.#closing === "saying") this.#heard ??= cut;
    else this.#socket.end();
  }

  #sayClose(code: number | undefined, text: string): void {
    if (this.#closing !== "no") return;
    this.#closing = "saying";
    this.#watchEnd();
    // What waits in front of the peer's own close has to be read.
    this.#socket.resume();
    this.#sender.close(code, cutText(text), () => {
      this.#closing = "said";
      this.#endWhenSaid();
    });
  }

  /** The connection ends once both have said so, and both end it. */
  #endWhenSaid(): void {
    if (this.#closing === "said" && this.#heard !== undefined) this.#socket.end();
  }

  #watchEnd(): void {
    this.#closeTimer ??= this.#clock.setTimer(carrierDefaults.closeTimeout, () =>
      this.#socket.destroy(),
    );
  }

  #onClose(): void {
    if (this.#over) return;
    this.#over = true;
    this.#closeTimer?.cancel();
    this.#handlers?.closed(this.#why());
  }

  #why(): CloseReason {
    if (this.#reason !== undefined) return this.#reason;
    return this.#heard ?? (this.#failure === undefined ? cut : failed(this.#failure));
  }
}

function reasonOfClose(code: number, text: string): CloseReason {
  if (code === WebSocketCloseCode.Normal || code === WebSocketCloseCode.GoingAway) {
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

const cut: CloseReason = { by: "network", code: "cut", text: "the WebSocket was cut" };
/** The peer's WebSocket or tunnel found fault with us: protocol, kind of data, text that is no UTF-8, size. */
const faultCodes: ReadonlySet<number> = new Set([
  WebSocketCloseCode.Protocol,
  WebSocketCloseCode.Unsupported,
  WebSocketCloseCode.BadText,
  WebSocketCloseCode.TooLarge,
]);
const maxCloseTextBytes = maxControlFrameBytes - 2;
