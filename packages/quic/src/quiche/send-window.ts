/**
 * Tells how much of the capacity that quiche states can leave at once.
 *
 * quiche counts bytes when they are handed over, and learns of the congestion window only when it hears the peer: headers and tags
 * of what was sent meanwhile, retransmissions, and bytes not sent yet are missing. Handing over more than can leave does harm: a
 * stream that is reset while quiche holds unsent bytes of it, or whose FIN waits while its bytes are acknowledged, is lost track
 * of (quiche 0.18).
 */
export class SendWindow {
  readonly #payloadBytes: number;
  /** Handed over and not sent. */
  #unsentBytes = 0;
  #unsentPackets = 0;
  /** Of the window, and missing in what quiche states. */
  #debtBytes = 0;

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

  /** How many of `bytes` may be handed over, if quiche states this capacity; 0 if it is better to wait. */
  room(capacity: number, bytes: number): number {
    const wanted = Math.min(capacity, bytes);
    const packets = this.#unsentPackets + this.datagramsFor(wanted);
    const room = Math.min(wanted, capacity - this.#debtBytes - packets * packetOverheadBytes);
    return room < bytes && room < minPartBytes ? 0 : room;
  }

  /** Whether FIN alone may be handed over. */
  hasRoomForFin(capacity: number): boolean {
    return capacity >= this.#debtBytes + (this.#unsentPackets + 2) * packetOverheadBytes;
  }

  /** Bytes of one stream, or its FIN, were handed over. */
  handed(bytes: number): void {
    this.#unsentBytes += bytes;
    this.#unsentPackets += Math.max(1, this.datagramsFor(bytes));
  }

  /** A datagram was sent. */
  sent(datagramBytes: number): void {
    const handed = Math.min(this.#unsentBytes, datagramBytes);
    this.#unsentBytes -= handed;
    this.#debtBytes += datagramBytes - handed;
  }

  /** quiche has nothing more to send now. */
  flushed(): void {
    this.#unsentPackets = 0;
  }

  /** A datagram came in: what quiche states is true again, but for what is unsent. */
  heard(): void {
    this.#debtBytes = this.#unsentBytes;
  }
}

/** Short header, STREAM frame header and tag, 1 + 20 + 4 + 1 + 3 * 8 + 16, at most. */
const packetOverheadBytes = 66;
/** A write is not broken up for less: each part costs a datagram. Far below any window a peer may have. */
const minPartBytes = 512;
