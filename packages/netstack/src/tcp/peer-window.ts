import { synPosition } from "./sequence.ts";

/** The window that the peer offers, and which of its segments told it last (RFC 9293 §3.10.7.4, fifth step). */
export class PeerWindow {
  /** SND.WND, and MAX.SND.WND of RFC 5961 §5. */
  #bytes = 0;
  #maxBytes = 0;
  /** SND.WL1 and SND.WL2. */
  #segmentPosition = synPosition - 1;
  #ackPosition = synPosition - 1;

  get bytes(): number {
    return this.#bytes;
  }

  /** The largest that the window has been. */
  get maxBytes(): number {
    return this.#maxBytes;
  }

  /** Takes what a segment at `segmentPosition` that acknowledges `ackPosition` tells, whatever was told before. */
  set(bytes: number, segmentPosition: number, ackPosition: number): void {
    this.#bytes = bytes;
    this.#maxBytes = Math.max(this.#maxBytes, bytes);
    this.#segmentPosition = segmentPosition;
    this.#ackPosition = ackPosition;
  }

  /** {@link set}, unless a later segment has told its window already: then false. */
  update(bytes: number, segmentPosition: number, ackPosition: number): boolean {
    const isOvertaken =
      segmentPosition < this.#segmentPosition ||
      (segmentPosition === this.#segmentPosition && ackPosition < this.#ackPosition);
    if (!isOvertaken) this.set(bytes, segmentPosition, ackPosition);
    return !isOvertaken;
  }
}
