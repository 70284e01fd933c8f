import type { SackBlock } from "../packet/index.ts";
import { Reassembly } from "./reassembly.ts";
import type { UnreadLedger } from "./unread-ledger.ts";

/** Who reads what arrives. */
export interface ByteReader {
  /** Takes the next bytes, always. A view of a packet that nobody else keeps. */
  take(bytes: Uint8Array): void;
  /** Bytes taken that nobody has read yet. */
  unreadBytes(): number;
}

/** Puts what arrives in order, and offers a window that follows the reader (RFC 9293 §3.8.6). */
export class ReceiveSide {
  readonly #reassembly = new Reassembly();
  readonly #reader: ByteReader;
  readonly #ledger: UnreadLedger;
  /** What the ledger knows of. */
  #settledBytes = 0;
  /** The largest window to offer, which the field of the header can tell. */
  #bufferBytes: number;
  /** RCV.NXT. */
  #next = 0;
  /** RCV.NXT + RCV.WND: never taken back once told (RFC 9293 §3.8.6). */
  #edge = 0;
  #shift = 0;
  /** Our own segment size limit: below it an opening is not worth telling. */
  #segmentBytes = 536;
  #finPosition: number | undefined;
  #refusedPieces = 0;

  constructor(reader: ByteReader, bufferBytes: number, ledger: UnreadLedger) {
    this.#reader = reader;
    this.#ledger = ledger;
    this.#bufferBytes = bufferBytes;
  }

  get next(): number {
    return this.#next;
  }

  /** The right edge of the window: the first position not welcome. */
  get edge(): number {
    return this.#edge;
  }

  /** Whether segments are held that wait for their predecessors. */
  get hasGaps(): boolean {
    return !this.#reassembly.isEmpty;
  }

  /** Bytes that were dropped though the window had room for them, since they lay in too many pieces. */
  get refusedPieces(): number {
    return this.#refusedPieces;
  }

  /** The peer's SYN has come. `shift` is that of our windows, 0 if scaling was not agreed on. */
  begin(shift: number, segmentBytes: number): void {
    this.#next = 1;
    this.#shift = shift;
    this.#bufferBytes = Math.min(this.#bufferBytes, 0xffff * 2 ** shift);
    this.#segmentBytes = segmentBytes;
    this.#edge = 1 + Math.min(this.#bufferBytes, 0xffff);
  }

  /** Whether a segment touches the window (RFC 9293 §3.10.7.4, first step). */
  isAcceptable(position: number, length: number): boolean {
    if (length === 0) {
      return position === this.#next || (position > this.#next && position < this.#edge);
    }
    return position < this.#edge && position + length > this.#next;
  }

  /**
   * Takes the bytes of an acceptable segment, cut to the window. Returns whether they were next in order and nothing is missing
   * now: otherwise an acknowledgement is due at once (RFC 5681 §4.2).
   */
  accept(position: number, bytes: Uint8Array, fin: boolean): boolean {
    if (this.#isTooMuch(bytes.length)) {
      this.#ledger.refuse();
      return false;
    }
    const isInOrder = this.#accept(position, bytes, fin);
    this.settle();
    return isInOrder;
  }

  /** Has the ledger know what is kept now: to be called after the reader has read, or has gone. */
  settle(): void {
    const keptBytes = this.#reader.unreadBytes() + this.#reassembly.bytes;
    this.#ledger.add(keptBytes - this.#settledBytes);
    this.#settledBytes = keptBytes;
  }

  /** Moves over FIN if everything before it has come. Returns true once. */
  reachFin(): boolean {
    if (this.#finPosition === undefined || this.#next !== this.#finPosition) return false;
    this.#next += 1;
    this.#edge = Math.max(this.#edge, this.#next);
    return true;
  }

  /** The window field of the next segment, which thereby tells the present window. */
  advertise(): number {
    const roomyEdge = this.#roomyEdge();
    if (this.#isWorthTelling(roomyEdge)) this.#edge = roomyEdge;
    // Rounded up, since rounding down would take back what was told before.
    const field = Math.min(Math.ceil((this.#edge - this.#next) / 2 ** this.#shift), 0xffff);
    this.#edge = Math.max(this.#edge, this.#next + field * 2 ** this.#shift);
    return field;
  }

  /** The window field of a segment with SYN, which is never scaled (RFC 7323 §2.2). */
  advertiseUnscaled(): number {
    return Math.min(this.#bufferBytes, 0xffff);
  }

  /** Whether the reader has read so much that the peer should be told (RFC 9293 §3.8.6.2.2). */
  get owesWindow(): boolean {
    return this.#isWorthTelling(this.#roomyEdge());
  }

  /** What is held out of order, for the SACK option. */
  sackBlocks(initial: number, most: number): SackBlock[] {
    return this.#reassembly.blocks(initial, most);
  }

  /** Lets go of everything. */
  stop(): void {
    this.#reassembly.clear();
    this.settle();
  }

  #accept(position: number, bytes: Uint8Array, fin: boolean): boolean {
    let start = position;
    let payload = bytes;
    const over = position + bytes.length - this.#edge;
    if (over > 0) payload = payload.subarray(0, payload.length - over);
    else if (fin && position + bytes.length >= this.#next) {
      this.#finPosition ??= position + bytes.length;
    }
    if (start < this.#next) {
      payload = payload.subarray(Math.min(this.#next - start, payload.length));
      start = this.#next;
    }
    if (this.#finPosition !== undefined && start + payload.length > this.#finPosition) {
      payload = payload.subarray(0, Math.max(0, this.#finPosition - start));
    }
    if (payload.length === 0) return start === this.#next && this.#reassembly.isEmpty;
    if (start > this.#next) {
      if (!this.#reassembly.insert(start, payload)) this.#refusedPieces += 1;
      return false;
    }
    this.#deliver(payload);
    if (this.#reassembly.isEmpty) return true;
    for (const chunk of this.#reassembly.take(this.#next)) this.#deliver(chunk);
    return false;
  }

  #deliver(bytes: Uint8Array): void {
    this.#next += bytes.length;
    this.#reader.take(bytes);
  }

  #roomyEdge(): number {
    return this.#next + Math.max(0, this.#mostUnreadBytes - this.#reader.unreadBytes());
  }

  get #mostUnreadBytes(): number {
    return this.#ledger.isFull ? Math.min(this.#bufferBytes, crowdedBytes) : this.#bufferBytes;
  }

  /**
   * Whether the stack keeps too much already. The window cannot be taken back, but what arrives can be dropped as a network would; who
   * reads everything gets at least one segment at a time.
   */
  #isTooMuch(bytes: number): boolean {
    if (bytes === 0 || !this.#ledger.isFull || this.#settledBytes === 0) return false;
    return this.#settledBytes + bytes > crowdedBytes;
  }

  #isWorthTelling(edge: number): boolean {
    const leastBytes = Math.min(this.#mostUnreadBytes / 4, 2 * this.#segmentBytes);
    return edge - this.#edge >= leastBytes;
  }
}

/** What a connection may keep of a stack that keeps too much already. */
const crowdedBytes = 16 * 1_024;
