import type { Readable, Writable } from "node:stream";
import { errorText, systemCode, type Clock, type CloseReason, type Timer } from "@culvert/runtime";
import { carrierDefaults } from "./carrier-defaults.ts";
import type { Carrier, CarrierHandlers } from "./carrier.ts";
import { channelBindingOf } from "./channel-binding.ts";

/** Where bytes come from and where they go: twice the same TLS socket, or the two halves of a process's standard input and output. */
export interface StreamEnds {
  readonly readable: Readable;
  readonly writable: Writable;
}

/** What a {@link StreamCarrier} is made from. */
export interface StreamCarrierOptions {
  readonly clock: Clock;
  readonly kind: "tls" | "stdio" | "memory";
  /** Where the peer is, for logs and status. */
  readonly remote: string;
}

/** A carrier over a socket, or over standard input and output. Owns the streams, and destroys both in the end. */
export class StreamCarrier implements Carrier {
  readonly kind: "tls" | "stdio" | "memory";
  readonly remote: string;
  readonly #clock: Clock;
  readonly #readable: Readable;
  readonly #writable: Writable;
  #handlers: CarrierHandlers | undefined;
  #full = false;
  #reason: CloseReason | undefined;
  #closeTimer: Timer | undefined;
  #over = false;

  constructor({ readable, writable }: StreamEnds, { clock, kind, remote }: StreamCarrierOptions) {
    this.kind = kind;
    this.remote = remote;
    this.#clock = clock;
    this.#readable = readable;
    this.#writable = writable;
    for (const stream of new Set([readable, writable])) {
      stream.on("error", (error: Error) => this.#end(failed(error)));
      stream.on("close", () => this.#onStreamClose());
    }
    readable.on("end", () => this.#onEnd());
    readable.pause();
  }

  get bufferedBytes(): number {
    return this.#writable.writableLength;
  }

  write(chunks: readonly Uint8Array[], sent?: () => void): boolean {
    if (this.#reason !== undefined) return true;
    const writable = this.#writable;
    writable.cork();
    const last = chunks.length - 1;
    for (const [index, chunk] of chunks.entries()) {
      writable.write(chunk, () => {
        if (index === last) sent?.();
        this.#onWritten();
      });
    }
    writable.uncork();
    this.#full ||= writable.writableLength >= carrierDefaults.highWaterBytes;
    return !this.#full;
  }

  start(handlers: CarrierHandlers): void {
    this.#handlers = handlers;
    if (this.#over) {
      handlers.closed(this.#reason ?? cut);
      return;
    }
    this.#readable.on("data", (bytes: Uint8Array) => {
      if (this.#reason === undefined) handlers.data(bytes);
    });
    this.#readable.resume();
  }

  pause(): void {
    if (this.#reason === undefined) this.#readable.pause();
  }

  resume(): void {
    if (this.#handlers !== undefined) this.#readable.resume();
  }

  close(reason: CloseReason): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    this.#closeTimer = this.#clock.setTimer(carrierDefaults.closeTimeout, () => this.#finish());
    // What the peer still sends is read and thrown away: closing a socket over unread bytes would cut off what it was sent last.
    this.#readable.resume();
    this.#writable.end();
    if (this.#readable.readableEnded) this.#writable.once("finish", () => this.#finish());
  }

  channelBinding(): Uint8Array | undefined {
    return channelBindingOf(this.#writable);
  }

  readonly #onWritten = (): void => {
    if (!this.#full || this.#writable.writableLength > carrierDefaults.lowWaterBytes) return;
    this.#full = false;
    if (this.#reason === undefined) this.#handlers?.drain();
  };

  #onEnd(): void {
    if (this.#reason === undefined) {
      this.#end({ by: "peer-app", code: "closed", text: "the peer ended the connection" });
    } else if (this.#writable.writableFinished) {
      this.#finish();
    } else {
      this.#writable.once("finish", () => this.#finish());
    }
  }

  #onStreamClose(): void {
    if (this.#readable.destroyed && this.#writable.destroyed) this.#end(cut);
  }

  #end(reason: CloseReason): void {
    this.#reason ??= reason;
    this.#finish();
  }

  #finish(): void {
    if (this.#over) return;
    this.#over = true;
    this.#closeTimer?.cancel();
    this.#readable.destroy();
    this.#writable.destroy();
    this.#handlers?.closed(this.#reason ?? cut);
  }
}

/** What a socket's failure means for those above. */
export function failed(error: Error): CloseReason {
  return {
    by: "network",
    code: systemCode(error)?.toLowerCase() ?? "failed",
    text: errorText(error),
  };
}

const cut: CloseReason = { by: "network", code: "cut", text: "the connection was cut" };
