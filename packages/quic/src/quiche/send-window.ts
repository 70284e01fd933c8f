/**
 * Tells how much may be handed to quiche so that all of it can leave at once.
 *
 * quiche looks at its congestion window when it hears the peer, and from then on only counts what is handed over: what was sent
 * meanwhile, with headers, tags and retransmissions, is missing in the capacity it states. Handing over more than can leave does
 * harm: a stream that is reset while quiche holds unsent bytes of it, or whose FIN waits while its bytes are acknowledged, is lost
 * track of (quiche 0.18).
 */
export class SendWindow {
  readonly #payloadBytes: number;
  /** Since the peer was heard. */
  #handedBytes = 0;
  #sentBytes = 0;
  /** What quiche could send when it heard the peer, as far as it was told; 0 where nothing is known. */
  #statedBytes = 0;
  /** How much of what quiche states a sent byte takes. */
  #priceOfByte = 1;
  /** Handed over and perhaps not sent, and the datagrams it needs. */
  #unsentBytes = 0;
  #unsentPackets = 0;
  /** quiche had nothing to send that fitted, and got nothing since. */
  #flushed = false;
  #shrunk = false;

  /** `datagramBytes` is the size of a full datagram. */
  constructor(datagramBytes: number) {
    this.#payloadBytes = datagramBytes - packetOverheadBytes;
  }

  /** Bytes of one stream that fit this many datagrams. */
  bytesIn(datagrams: number): number {
    return datagrams * this.#payloadBytes;
  }

  /** Datagrams that this many bytes of one stream need. */
  datagramsFor(bytes: number): number {
    return Math.ceil(bytes / this.#payloadBytes);
  }

  /** Whether quiche may hold something that it could not send. Flushing it may show that it does not. */
  get mayHoldUnsent(): boolean {
    return this.#unsentPackets > 0;
  }

  /** How many of `bytes` may be handed over, if quiche states this capacity; 0 if it is better to wait. */
  room(capacity: number, bytes: number): number {
    this.isDrained(capacity);
    const wanted = Math.min(capacity, bytes);
    const packets = this.#unsentPackets + this.datagramsFor(wanted);
    const left =
      this.#leftBytes() - this.#unsentBytes - packets * packetOverheadBytes - marginBytes;
    const room = Math.max(0, Math.min(wanted, left));
    return room < bytes && room < minPartBytes ? 0 : room;
  }

  /**
   * Whether quiche holds nothing unsent, and so many frames without stream bytes, each in a datagram of its own, would leave at once.
   */
  isDrained(capacity: number, frames = 1): boolean {
    // A stream's own flow control may make its capacity smaller, nothing makes it larger.
    this.#statedBytes = Math.max(this.#statedBytes, capacity + this.#handedBytes);
    const more = (frames - 1) * packetOverheadBytes * this.#priceOfByte;
    return this.#conclude() && this.#leftBytes() >= marginBytes + more;
  }

  /** Bytes of one stream, or a frame without any, were handed over. */
  handed(bytes: number): void {
    this.#flushed = false;
    this.#handedBytes += bytes;
    this.#unsentBytes += bytes;
    this.#unsentPackets += Math.max(1, this.datagramsFor(bytes));
  }

  /** A datagram was sent. */
  sent(datagramBytes: number): void {
    this.#sentBytes += datagramBytes;
  }

  /** quiche has nothing more to send now. */
  flushed(): void {
    this.#flushed = true;
    this.#conclude();
  }

  /** A datagram came in: quiche has looked at its window, and may have something to send again. */
  heard(): void {
    this.#handedBytes = this.#sentBytes = this.#statedBytes = 0;
    this.#flushed = this.#shrunk = false;
  }

  /** Losses were found without anything coming in: the window is smaller than quiche states, until the peer is heard. */
  shrunk(): void {
    this.#flushed = false;
    this.#shrunk = true;
  }

  /**
   * Nothing that was sent awaits an acknowledgement. Then the congestion window has room for a datagram at least, even where flow
   * control, which frames without stream bytes need none of, leaves less for quiche to state.
   */
  nothingInFlight(): void {
    const leastBytes = smallestWindowBytes + this.#priceOfByte * this.#sentBytes;
    this.#statedBytes = Math.max(this.#statedBytes, leastBytes);
  }

  /**
   * The path has lost something. From then on quiche may count a sent byte twice: it adds what proportional rate reduction
   * (RFC 6937) allows to what the window leaves, and takes a sent byte from both.
   */
  lossy(): void {
    this.#priceOfByte = 2;
  }

  /** The path has lost nothing for long: what was allowed once has been used up. */
  calm(): void {
    this.#priceOfByte = 1;
  }

  /** Whether the path has lost something of late. */
  get isLossy(): boolean {
    return this.#priceOfByte > 1;
  }

  #leftBytes(): number {
    return this.#shrunk ? 0 : this.#statedBytes - this.#priceOfByte * this.#sentBytes;
  }

  #conclude(): boolean {
    // With so much room left, whatever was there has gone.
    const drained = this.#flushed && this.#leftBytes() >= marginBytes;
    if (drained) this.#unsentBytes = this.#unsentPackets = 0;
    return drained;
  }
}

/** Short header, STREAM frame header and tag, 1 + 20 + 4 + 1 + 3 * 8 + 16, at most. */
const packetOverheadBytes = 66;
/** The least a congestion window of quiche shrinks to: a datagram of the smallest size there is (RFC 9000 §14). */
const smallestWindowBytes = 1200;
/** Left free: any frame without stream bytes fits. */
const marginBytes = 2 * packetOverheadBytes;
/** A write is not broken up for less: each part costs a datagram. Far below any window a peer may have. */
const minPartBytes = 512;
