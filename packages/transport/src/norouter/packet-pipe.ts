import { errorText, type CloseReason } from "@culvert/runtime";
import { encodeNorouterHeader, FrameDecoder, frameType, quoteText } from "@culvert/wire";
import { carrierDefaults } from "../mproxy/carrier-defaults.ts";
import type { Carrier } from "../mproxy/carrier.ts";
import { FrameBatch } from "../mproxy/frame-batch.ts";
import { EgressQueue, type EgressLimits } from "./egress-queue.ts";
import { roomBytes } from "./norouter-defaults.ts";

/** What a {@link PacketPipe} tells its owner. */
export interface PacketPipeHandlers {
  /** A packet that arrived; it belongs to the owner. */
  packet(packet: Uint8Array): void;
  /** There is room again, after {@link PacketPipe.hasRoom} has said no. */
  drained?(): void;
  /** The last call, made once, whoever ended the pipe. */
  closed(reason: CloseReason): void;
}

/** Counters of a {@link PacketPipe} since its start. */
export interface PacketPipeStats {
  readonly sentBytes: number;
  readonly receivedBytes: number;
  /** Packets that were dropped since the pipe was full for too long. */
  readonly droppedPackets: number;
}

/**
 * IPv4 packets in NoRouter's frames over a carrier. Reading never waits for writing, or two full pipes would wait for each other for
 * ever: what cannot be written waits within bounds, and is dropped beyond. Packets of one turn go in one write. Owns the carrier.
 */
export class PacketPipe {
  readonly #carrier: Carrier;
  readonly #handlers: PacketPipeHandlers;
  readonly #decoder = new FrameDecoder({ maxJsonBytes });
  readonly #queue: EgressQueue;
  readonly #batch = new FrameBatch();
  #scheduled = false;
  #full = false;
  #wasAsked = false;
  #sentBytes = 0;
  #receivedBytes = 0;
  /** The carrier's first bytes, for when they turn out to be no frames. */
  #beginning: Uint8Array | undefined;
  #ending: CloseReason | undefined;

  /** Starts the carrier, which must be fresh. */
  constructor(carrier: Carrier, limits: EgressLimits, handlers: PacketPipeHandlers) {
    this.#carrier = carrier;
    this.#handlers = handlers;
    this.#queue = new EgressQueue(limits);
    carrier.start({
      data: (bytes) => this.#read(bytes),
      drain: () => {
        this.#full = false;
        this.#flush();
      },
      alive: () => undefined,
      closed: (reason) => handlers.closed(this.#asHeard(reason)),
    });
  }

  /** Sends a packet, which belongs to the pipe from now on. */
  send(packet: Uint8Array): void {
    if (this.#ending !== undefined) return;
    this.#queue.push(packet);
    if (this.#scheduled || this.#full) return;
    this.#scheduled = true;
    process.nextTick(() => {
      this.#scheduled = false;
      this.#flush();
    });
  }

  /** Whether little waits to be written; where not, `drained` will be called. */
  get hasRoom(): boolean {
    if (this.#queue.bytes < roomBytes) return true;
    this.#wasAsked = true;
    return false;
  }

  /** Forgets what waits to be written. */
  clear(): void {
    this.#queue.clear();
  }

  /** Writes what waits, then ends the carrier in order; `closed` follows. A second call does nothing. */
  close(reason: CloseReason): void {
    if (this.#ending !== undefined) return;
    this.#full = false;
    while (this.#queue.packets > 0) this.#write();
    this.#ending = reason;
    this.#carrier.close(reason);
  }

  stats(): PacketPipeStats {
    return {
      sentBytes: this.#sentBytes,
      receivedBytes: this.#receivedBytes,
      droppedPackets: this.#queue.droppedPackets,
    };
  }

  #flush(): void {
    while (!this.#full && this.#ending === undefined && this.#queue.packets > 0) this.#write();
    if (!this.#wasAsked || this.#queue.bytes >= roomBytes / 2) return;
    this.#wasAsked = false;
    this.#handlers.drained?.();
  }

  #write(): void {
    for (const packet of this.#queue.take(writeBytes)) {
      this.#sentBytes += packet.length;
      this.#batch.add(encodeNorouterHeader(frameType.l3, packet.length));
      this.#batch.add(packet);
    }
    this.#full = !this.#carrier.write(this.#batch.take());
  }

  #read(bytes: Uint8Array): void {
    if (this.#ending !== undefined) return;
    this.#beginning ??= bytes.slice(0, shownBytes);
    try {
      for (const { type, payload } of this.#decoder.push(bytes)) {
        // JSON is for managers and agents; a newer peer may have types of its own.
        if (type !== frameType.l3) continue;
        this.#receivedBytes += payload.length;
        this.#handlers.packet(payload);
      }
    } catch (error) {
      this.#ending = { by: "us", code: "protocol_error", text: this.#describe(error) };
      this.#queue.clear();
      this.#carrier.close(this.#ending);
    }
  }

  /** A shell's greeting is the usual cause. */
  #describe(error: unknown): string {
    if (this.#receivedBytes > 0) return errorText(error);
    const said = quoteText(new TextDecoder().decode(this.#beginning), 200);
    return `standard output must carry nothing but frames, and began with ${said} (${errorText(error)})`;
  }

  /** An end within a frame is no orderly end. */
  #asHeard(reason: CloseReason): CloseReason {
    if (this.#ending !== undefined || reason.by !== "peer-app") return reason;
    try {
      this.#decoder.end();
      return reason;
    } catch {
      return { by: "network", code: "truncated", text: "the pipe ended within a frame" };
    }
  }
}

/** What one write carries at most, beyond its last packet. */
const writeBytes = carrierDefaults.highWaterBytes;
const shownBytes = 80;
/** JSON is for managers and agents, and skipped here. */
const maxJsonBytes = 64 * 1024;
