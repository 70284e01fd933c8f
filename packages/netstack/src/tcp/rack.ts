import type { SentSegment, SentSegments } from "./sent-segments.ts";

/** What decides how much reordering is borne (RFC 8985 §6.2 step 4). */
export interface RackState {
  /** Smoothed round-trip time, milliseconds. */
  readonly smoothedMs: number;
  /** In fast or time-out recovery. */
  readonly isRecovering: boolean;
}

/**
 * Finds losses by time (RACK, RFC 8985 §6): what was sent well before something that has arrived is lost, be it sent for the first time or
 * again. So a retransmission that is lost is found as soon as anything sent after it arrives.
 */
export class Rack {
  /** Of what has arrived, the one that was sent last, and how long it took (RACK.xmit_ts and end_seq, RACK.rtt). */
  #order = 0;
  #rttMs = 0;
  #leastRttMs = Infinity;
  /** The highest position that has arrived (RACK.fack). */
  #forwardEnd = 0;
  #seesReordering = false;
  /** In quarters of the least round-trip time; it widens with each round trip that shows needless retransmissions. */
  #windowQuarters = 1;
  #widenedTo: number | undefined;
  #recoveriesLeft = 0;

  /**
   * A segment has arrived (§6.2 steps 1 to 3). `echoedMs` is the round-trip time by the timestamp that acknowledged it as next in order;
   * undefined for what is held beyond a gap, whose acknowledgements echo something older.
   */
  delivered(segment: SentSegment, nowMs: number, echoedMs: number | undefined): void {
    if (segment.end > this.#forwardEnd) this.#forwardEnd = segment.end;
    else if (segment.end < this.#forwardEnd && !segment.isSentAgain) this.#seesReordering = true;
    const rttMs = nowMs - segment.sentAtMs;
    if (segment.isSentAgain) {
      // It may be the first transmission that has arrived, long on its way.
      if (rttMs < this.#leastRttMs) return;
      if (echoedMs !== undefined && echoedMs > rttMs + clockStepMs) return;
    } else this.#leastRttMs = Math.min(this.#leastRttMs, rttMs);
    if (segment.order < this.#order) return;
    this.#order = segment.order;
    this.#rttMs = rttMs;
  }

  /** The peer has received something twice: what we took for lost was late (§6.2 step 4, RFC 2883). */
  receivedTwice(acknowledged: number, sentEnd: number): void {
    if (this.#widenedTo !== undefined && acknowledged < this.#widenedTo) return;
    this.#widenedTo = sentEnd;
    this.#windowQuarters += 1;
    this.#recoveriesLeft = wideRecoveries;
  }

  /** A recovery is over. */
  recovered(): void {
    this.#recoveriesLeft -= 1;
    if (this.#recoveriesLeft <= 0) this.#windowQuarters = 1;
  }

  /** Loses what must be lost by now (§6.2 step 5). Returns when to look again; Infinity if only news could tell more. */
  findLost(segments: SentSegments, state: RackState, nowMs: number): number {
    let segment = segments.earliest;
    const patienceMs = this.#rttMs + this.#windowMs(segments.heldCount, state);
    while (segment !== undefined && segment.order < this.#order) {
      const lostAtMs = segment.sentAtMs + patienceMs;
      if (lostAtMs > nowMs + roundingMs) return lostAtMs;
      const next: SentSegment | undefined = segment.later;
      segments.lose(segment);
      segment = next;
    }
    return Infinity;
  }

  /** Whether a segment was sent so long ago that a time-out may count it as lost too (§6.3). */
  isOverdue(segment: SentSegment, heldCount: number, state: RackState, nowMs: number): boolean {
    const patienceMs = this.#rttMs + this.#windowMs(heldCount, state);
    return segment.sentAtMs + patienceMs <= nowMs + roundingMs;
  }

  /** How late a segment may be (RACK.reo_wnd). */
  #windowMs(heldCount: number, { smoothedMs, isRecovering }: RackState): number {
    // As long as the path was never seen to reorder, three segments beyond a gap are proof enough (RFC 5681 §3.2).
    if (!this.#seesReordering && (isRecovering || heldCount >= duplicateThreshold)) return 0;
    if (this.#leastRttMs === Infinity) return 0;
    return Math.min((this.#windowQuarters * this.#leastRttMs) / 4, smoothedMs);
  }
}

/** DupThresh of RFC 6675 §2 and RFC 5681 §3.2. */
export const duplicateThreshold = 3;
/** Recoveries for which a widened window stays (RACK.reo_wnd_persist). */
const wideRecoveries = 16;
/** Timestamps count whole milliseconds. */
const clockStepMs = 1;
/** What sums of times may be off by. */
const roundingMs = 0.001;
