/**
 * The probe that finds out whether the last segments of a flight were lost, long before the time-out would (TLP, RFC 8985 §7): nothing comes
 * after them that could tell.
 */
export class TailLossProbe {
  /** SND.NXT when the probe was sent (TLP.end_seq). */
  #end: number | undefined;
  /** It was something sent before (TLP.is_retrans). */
  #isRepetition = false;

  /** A probe was sent of which nothing is known yet: there is only one at a time. */
  get isUnderWay(): boolean {
    return this.#end !== undefined;
  }

  /** How long to wait for an acknowledgement before asking (§7.2), milliseconds. */
  delayMs(smoothedMs: number, segmentsUnderWay: number): number {
    const delayMs = Math.max(2 * smoothedMs, leastDelayMs);
    // An acknowledgement of a single segment may be delayed.
    return segmentsUnderWay === 1 ? delayMs + acknowledgementDelayMs : delayMs;
  }

  /** A probe was sent, after which SND.NXT is `end`. */
  sent(end: number, isRepetition: boolean): void {
    this.#end = end;
    this.#isRepetition = isRepetition;
  }

  /**
   * An acknowledgement came (§7.4.2). Returns whether it shows that the probe itself has replaced a lost segment, which nothing else will
   * tell: the congestion window is to be reduced.
   */
  acknowledged(position: number, isDuplicate: boolean, tellsOfDuplicate: boolean): boolean {
    if (this.#end === undefined || position < this.#end) return false;
    const showsLoss = this.#isRepetition && position > this.#end && !tellsOfDuplicate;
    // Acknowledged twice: both transmissions have arrived. Until then nothing is known of a repetition.
    const isOver = !this.#isRepetition || position > this.#end || isDuplicate || tellsOfDuplicate;
    if (isOver) this.#end = undefined;
    return showsLoss;
  }

  /** The time-out, or fast recovery, takes over. */
  forget(): void {
    this.#end = undefined;
  }
}

/** Clocks and event loops are no better; what is asked too early is asked in vain. */
const leastDelayMs = 10;
/** What an acknowledgement may be held back for (WCDelAckT): the least of most systems, since one probe too many does no harm. */
const acknowledgementDelayMs = 40;
