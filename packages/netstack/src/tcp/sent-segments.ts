/** A segment that was sent, and that the peer has not acknowledged as a whole. Positions, and milliseconds. */
export interface SentSegment {
  /** Moves up when a part is acknowledged. */
  start: number;
  end: number;
  /** When it was sent last, and which of all transmissions that was: the time alone does not tell them apart. */
  sentAtMs: number;
  order: number;
  /** Sent more than once. */
  isSentAgain: boolean;
  /** On its way as far as anybody knows, reported as held by the peer, or to be sent again. */
  state: "flying" | "held" | "lost";
  /** Its neighbours in the order of sending, as long as it flies. */
  earlier: SentSegment | undefined;
  later: SentSegment | undefined;
}

/** Told of each segment that is found to have arrived, by rising position. */
export type OnDelivered = (segment: SentSegment) => void;

/**
 * What is under way, segment by segment: in the order of positions, and what flies in the order of sending too, so that neither
 * acknowledgements nor the search for losses (RFC 8985 §6.2 step 5) ever walk over more than what they change.
 */
export class SentSegments {
  /** By position; those before {@link #head} are acknowledged. */
  #all: SentSegment[] = [];
  #head = 0;
  #earliest: SentSegment | undefined;
  #latest: SentSegment | undefined;
  /** In the order in which they were lost, with some among them that are so no longer. */
  #lost: SentSegment[] = [];
  #flyingBytes = 0;
  #heldCount = 0;
  #orders = 0;

  /** Bytes that are in the network as far as anybody knows (the pipe of RFC 6675 §4). */
  get flyingBytes(): number {
    return this.#flyingBytes;
  }

  /** Segments that the peer holds out of order. */
  get heldCount(): number {
    return this.#heldCount;
  }

  get count(): number {
    return this.#all.length - this.#head;
  }

  /** That with the lowest, and that with the highest position. */
  get first(): SentSegment | undefined {
    return this.#all[this.#head];
  }

  get last(): SentSegment | undefined {
    return this.count === 0 ? undefined : this.#all.at(-1);
  }

  /** The one of those that fly which was sent first. */
  get earliest(): SentSegment | undefined {
    return this.#earliest;
  }

  /** The next to be sent again. */
  get nextLost(): SentSegment | undefined {
    for (;;) {
      const [segment] = this.#lost;
      if (segment === undefined || segment.state === "lost") return segment;
      this.#lost.shift();
    }
  }

  /** A segment was sent for the first time, right after all others. */
  add(start: number, end: number, nowMs: number): void {
    const segment: SentSegment = {
      start,
      end,
      sentAtMs: nowMs,
      order: (this.#orders += 1),
      isSentAgain: false,
      state: "flying",
      earlier: undefined,
      later: undefined,
    };
    this.#all.push(segment);
    this.#flyingBytes += end - start;
    this.#append(segment);
  }

  /** A segment was sent once more. */
  sendAgain(segment: SentSegment, nowMs: number): void {
    if (segment.state === "flying") this.#unlink(segment);
    else this.#flyingBytes += segment.end - segment.start;
    if (segment.state === "held") this.#heldCount -= 1;
    segment.state = "flying";
    segment.isSentAgain = true;
    segment.sentAtMs = nowMs;
    segment.order = this.#orders += 1;
    this.#append(segment);
  }

  /** A segment that flies is lost. */
  lose(segment: SentSegment): void {
    if (segment.state !== "flying") return;
    this.#land(segment);
    segment.state = "lost";
    this.#lost.push(segment);
  }

  /** Every segment that is not held, and that `isLost` says so of, is lost, and is sent again by rising position. */
  loseAll(isLost: (segment: SentSegment) => boolean): void {
    for (let index = this.#head; index < this.#all.length; index += 1) {
      const segment = this.#all[index];
      if (segment?.state !== "flying" || !isLost(segment)) continue;
      this.#land(segment);
      segment.state = "lost";
    }
    this.#lost = this.#all.slice(this.#head).filter(({ state }) => state === "lost");
  }

  /** The peer may have thrown away what it held (RFC 2018 §8). What was held flies, and has for long. */
  forgetHeld(): void {
    for (let index = this.#head; index < this.#all.length; index += 1) {
      const segment = this.#all[index];
      if (segment?.state !== "held") continue;
      segment.state = "flying";
      this.#heldCount -= 1;
      this.#flyingBytes += segment.end - segment.start;
      this.#append(segment);
    }
  }

  /** Cuts a segment in two at a position inside of it; the first keeps its place. Both count as sent when it was. */
  split(segment: SentSegment, at: number): void {
    const rest: SentSegment = { ...segment, start: at };
    this.#all.splice(this.#indexAt(segment.start) + 1, 0, rest);
    segment.end = at;
    if (rest.state === "lost") this.#lost.splice(this.#lost.indexOf(segment) + 1, 0, rest);
    else if (rest.state === "held") this.#heldCount += 1;
    else {
      rest.earlier = segment;
      segment.later = rest;
      if (rest.later === undefined) this.#latest = rest;
      else rest.later.earlier = rest;
    }
  }

  /** Everything before `position` is acknowledged. */
  acknowledge(position: number, onDelivered: OnDelivered): void {
    for (let segment = this.first; segment !== undefined; segment = this.first) {
      if (segment.start >= position) break;
      if (segment.end > position) {
        if (segment.state === "flying") this.#flyingBytes -= position - segment.start;
        segment.start = position;
        break;
      }
      this.#head += 1;
      if (segment.state === "held") this.#heldCount -= 1;
      else this.#deliver(segment, onDelivered);
    }
    if (this.#head === this.#all.length) this.#all = [];
    else if (this.#head > mostAcknowledged) this.#all = this.#all.slice(this.#head);
    else return;
    this.#head = 0;
  }

  /** The peer holds everything from `from` to `to`; `isHeld` says whether it holds all of a segment that is partly elsewhere. */
  hold(
    from: number,
    to: number,
    isHeld: (segment: SentSegment) => boolean,
    onDelivered: OnDelivered,
  ): void {
    for (let index = this.#indexAt(from); index < this.#all.length; index += 1) {
      const segment = this.#all[index];
      if (segment === undefined || segment.start >= to) return;
      if (segment.state === "held") continue;
      const isInside = segment.start >= from && segment.end <= to;
      if (!isInside && !isHeld(segment)) continue;
      this.#deliver(segment, onDelivered);
      this.#heldCount += 1;
    }
  }

  #deliver(segment: SentSegment, onDelivered: OnDelivered): void {
    if (segment.state === "flying") this.#land(segment);
    segment.state = "held";
    onDelivered(segment);
  }

  /** The index of the segment in which a position lies, or of the next one. */
  #indexAt(position: number): number {
    let low = this.#head;
    let high = this.#all.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#all[middle]?.end ?? Infinity) <= position) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #land(segment: SentSegment): void {
    this.#unlink(segment);
    this.#flyingBytes -= segment.end - segment.start;
  }

  #append(segment: SentSegment): void {
    segment.earlier = this.#latest;
    segment.later = undefined;
    if (this.#latest === undefined) this.#earliest = segment;
    else this.#latest.later = segment;
    this.#latest = segment;
  }

  #unlink(segment: SentSegment): void {
    const { earlier, later } = segment;
    if (earlier === undefined) this.#earliest = later;
    else earlier.later = later;
    if (later === undefined) this.#latest = earlier;
    else later.earlier = earlier;
    segment.earlier = undefined;
    segment.later = undefined;
  }
}

/** So many acknowledged segments are kept until the list is copied. */
const mostAcknowledged = 256;
