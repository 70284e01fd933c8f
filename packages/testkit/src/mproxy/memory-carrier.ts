import type { CloseReason } from "@culvert/runtime";
import type { Carrier, CarrierHandlers } from "@culvert/transport";

/** How a pair of memory carriers behaves. */
export interface MemoryCarrierOptions {
  /** With more than this many bytes under way in one direction, its writer is told to wait. 64 KiB by default. */
  readonly highWaterBytes?: number;
  /** Bytes arrive in pieces of at most this many. 16 KiB by default, as TLS has them. */
  readonly pieceBytes?: number;
}

/** One end of a {@link memoryCarrierPair}. */
export interface MemoryCarrier extends Carrier {
  /** Fails the path: both ends are closed by the network, what was under way is lost. */
  cut(): void;
}

/** Two carriers joined in memory. Each piece arrives as a copy, in a later turn of the event loop. */
export function memoryCarrierPair(
  options: MemoryCarrierOptions = {},
): readonly [MemoryCarrier, MemoryCarrier] {
  const left = new MemoryCarrierEnd("memory:left", options);
  const right = new MemoryCarrierEnd("memory:right", options);
  left.join(right);
  right.join(left);
  return [left, right];
}

class MemoryCarrierEnd implements MemoryCarrier {
  readonly kind = "memory" as const;
  readonly remote: string;
  readonly #highWaterBytes: number;
  readonly #pieceBytes: number;
  #peer: MemoryCarrierEnd | undefined;
  #handlers: CarrierHandlers | undefined;
  #paused = false;
  #over = false;
  /** On its way to the peer. */
  readonly #underWay: { readonly bytes: Uint8Array; readonly sent: (() => void) | undefined }[] =
    [];
  #underWayBytes = 0;
  #ending: CloseReason | undefined;
  #needDrain = false;
  #scheduled = false;

  constructor(remote: string, options: MemoryCarrierOptions) {
    this.remote = remote;
    this.#highWaterBytes = options.highWaterBytes ?? 64 * 1024;
    this.#pieceBytes = options.pieceBytes ?? 16 * 1024;
  }

  get bufferedBytes(): number {
    return this.#underWayBytes;
  }

  join(peer: MemoryCarrierEnd): void {
    this.#peer = peer;
  }

  write(chunks: readonly Uint8Array[], sent?: () => void): boolean {
    if (this.#over || this.#ending !== undefined) return true;
    for (const bytes of chunks) {
      this.#underWay.push({ bytes, sent: bytes === chunks.at(-1) ? sent : undefined });
      this.#underWayBytes += bytes.length;
    }
    this.deliverSoon();
    this.#needDrain = this.#underWayBytes > this.#highWaterBytes;
    return !this.#needDrain;
  }

  start(handlers: CarrierHandlers): void {
    this.#handlers = handlers;
    this.#peer?.deliverSoon();
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#peer?.deliverSoon();
  }

  close(reason: CloseReason): void {
    if (this.#over || this.#ending !== undefined) return;
    this.#ending = reason;
    this.deliverSoon();
  }

  cut(): void {
    const reason: CloseReason = { by: "network", code: "cut", text: "the path failed" };
    this.finish(reason);
    this.#peer?.finish(reason);
  }

  channelBinding(): Uint8Array | undefined {
    return undefined;
  }

  deliverSoon(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#deliver();
    });
  }

  /** Hands the peer what is under way, until it has had enough. */
  #deliver(): void {
    const peer = this.#peer;
    if (this.#over || peer === undefined) return;
    while (peer.#takes()) {
      const next = this.#underWay.shift();
      if (next === undefined) break;
      const { bytes } = next;
      this.#underWayBytes -= bytes.length;
      for (let offset = 0; offset < bytes.length; offset += this.#pieceBytes) {
        // Copies, so that a writer who reuses its buffer too early is found out.
        peer.receive(Uint8Array.from(bytes.subarray(offset, offset + this.#pieceBytes)));
      }
      next.sent?.();
    }
    if (this.#needDrain && this.#underWayBytes === 0) {
      this.#needDrain = false;
      this.#handlers?.drain();
    }
    // A peer that reads no more does not hold up the end for ever, as a real carrier's bound does not.
    if (this.#ending === undefined || (this.#underWay.length > 0 && !peer.#gone())) return;
    const ending = this.#ending;
    this.finish(ending);
    peer.finish({ by: "peer-app", code: "closed", text: "the peer closed the carrier" });
  }

  receive(bytes: Uint8Array): void {
    this.#handlers?.data(bytes);
  }

  #takes(): boolean {
    return (
      this.#handlers !== undefined && !this.#paused && !this.#over && this.#ending === undefined
    );
  }

  #gone(): boolean {
    return this.#over || this.#ending !== undefined;
  }

  finish(reason: CloseReason): void {
    if (this.#over) return;
    this.#over = true;
    this.#underWay.length = 0;
    this.#underWayBytes = 0;
    this.#handlers?.closed(reason);
  }
}
