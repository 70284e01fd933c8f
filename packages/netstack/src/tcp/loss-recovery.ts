import type { SackBlock } from "../packet/index.ts";
import { duplicateThreshold, SackScoreboard, type Range } from "./sack-scoreboard.ts";

/** What an acknowledgement told the recovery. */
export interface AckNews {
  /** SND.UNA after it. */
  readonly acknowledged: number;
  /** SND.NXT. */
  readonly sentEnd: number;
  /** By how much it moved SND.UNA. */
  readonly advancedBytes: number;
  /** It moved nothing, carried nothing and changed no window (RFC 5681 §2). */
  readonly duplicate: boolean;
  readonly sack: readonly SackBlock[] | undefined;
}

/**
 * Finds out what was lost and says what to send again: by SACK (RFC 6675), without it by duplicate acknowledgements as NewReno does
 * (RFC 6582), and after a time-out from the first byte on. Positions are never taken back: SND.NXT stays, gaps are filled.
 */
export class LossRecovery {
  readonly #initial: number;
  readonly #segmentBytes: number;
  readonly #sackAllowed: boolean;
  readonly #scoreboard: SackScoreboard;
  #mode: "none" | "fast" | "timeout" = "none";
  /** Recovery is over when this is acknowledged (RecoveryPoint). */
  #recoveryPoint = 0;
  /** What was sent again ends here (HighRxt). */
  #highRetransmitted = 0;
  /** What is lost whatever the scoreboard says ends here. */
  #lostFloor = 0;
  #duplicates = 0;
  #rescued = false;

  constructor(initial: number, segmentBytes: number, sackAllowed: boolean) {
    this.#initial = initial;
    this.#segmentBytes = segmentBytes;
    this.#sackAllowed = sackAllowed;
    this.#scoreboard = new SackScoreboard(segmentBytes);
  }

  get mode(): "none" | "fast" | "timeout" {
    return this.#mode;
  }

  /** Returns true when fast recovery begins: the congestion window is to be reduced, once (RFC 6675 §5). */
  acknowledge(news: AckNews): boolean {
    const { acknowledged } = news;
    let sackedBytes = 0;
    if (news.advancedBytes > 0) {
      this.#scoreboard.advance(acknowledged);
      this.#highRetransmitted = Math.max(this.#highRetransmitted, acknowledged);
    }
    if (this.#sackAllowed && news.sack !== undefined) {
      sackedBytes = this.#scoreboard.update(news.sack, this.#initial, acknowledged, news.sentEnd);
    }
    if (news.advancedBytes > 0) this.#advance(news);
    // With SACK a duplicate is what tells of bytes the peer did not hold before (RFC 6675 §2).
    else if (this.#sackAllowed ? sackedBytes > 0 : news.duplicate) this.#duplicates += 1;
    return this.#beginIfLost(news);
  }

  /** The retransmission timer expired: all that was sent counts as lost (RFC 5681 §3.1, RFC 6675 §5.1). */
  timedOut(acknowledged: number, sentEnd: number): void {
    // A second time in a row, the peer may have thrown away what it held (RFC 2018 §8).
    if (this.#mode === "timeout") this.#scoreboard.clear();
    this.#mode = "timeout";
    this.#recoveryPoint = sentEnd;
    this.#highRetransmitted = acknowledged;
    this.#lostFloor = sentEnd;
    this.#duplicates = 0;
    this.#rescued = true;
  }

  /** How many bytes are estimated to be in the network (SetPipe of RFC 6675 §4). */
  pipeBytes(acknowledged: number, sentEnd: number): number {
    const edge = Math.min(this.#lostEnd(acknowledged), sentEnd);
    const again = Math.max(this.#highRetransmitted, acknowledged);
    let bytes = sentEnd - edge + (again - acknowledged);
    if (!this.#scoreboard.isEmpty) {
      bytes -= this.#scoreboard.heldBetween(edge, sentEnd);
      bytes -= this.#scoreboard.heldBetween(acknowledged, again);
    }
    // Without SACK each duplicate says that one segment has left the network (RFC 5681 §3.2, RFC 3042).
    if (!this.#sackAllowed) bytes -= this.#duplicates * this.#segmentBytes;
    return Math.max(0, bytes);
  }

  /** The next lost run to send again, at most a segment (rule 1 of NextSeg, RFC 6675 §4). */
  nextLost(acknowledged: number, mostBytes: number): Range | undefined {
    if (this.#mode === "none") return undefined;
    const from = Math.max(this.#highRetransmitted, acknowledged);
    return cut(this.#scoreboard.gapAfter(from, this.#lostEnd(acknowledged)), mostBytes);
  }

  /** What may be lost, when there is nothing else to send (rules 3 and 4 of NextSeg, RFC 6675 §4). */
  nextSuspect(acknowledged: number, sentEnd: number, mostBytes: number): Range | undefined {
    if (this.#mode !== "fast" || !this.#sackAllowed) return undefined;
    const from = Math.max(this.#highRetransmitted, acknowledged);
    const gap = this.#scoreboard.gapAfter(from, this.#scoreboard.highestEnd);
    if (gap !== undefined) return cut(gap, mostBytes);
    if (this.#rescued) return undefined;
    this.#rescued = true;
    const start = Math.max(this.#scoreboard.highestEnd, acknowledged, sentEnd - mostBytes);
    return start < sentEnd ? { start, end: sentEnd } : undefined;
  }

  /** A run was sent again. */
  retransmitted(range: Range): void {
    const rescue = range.start >= this.#lostFloor && range.start >= this.#scoreboard.highestEnd;
    if (rescue && this.#mode === "fast") return;
    this.#highRetransmitted = Math.max(this.#highRetransmitted, range.end);
  }

  /** Whether nothing was sent again since recovery began: the first segment goes whatever the window says. */
  isFirstRetransmission(acknowledged: number): boolean {
    return this.#mode !== "none" && this.#highRetransmitted <= acknowledged;
  }

  #advance(news: AckNews): void {
    const { acknowledged } = news;
    if (this.#mode === "none") {
      this.#duplicates = 0;
      return;
    }
    if (acknowledged >= this.#recoveryPoint) {
      this.#mode = "none";
      this.#duplicates = 0;
      this.#lostFloor = 0;
      this.#highRetransmitted = 0;
      return;
    }
    if (this.#mode !== "fast" || this.#sackAllowed) return;
    // A partial acknowledgement: what follows it is lost too (RFC 6582 §3.2 step 3).
    this.#lostFloor = acknowledged + this.#segmentBytes;
    this.#highRetransmitted = acknowledged;
    const left = news.advancedBytes / this.#segmentBytes - 1;
    this.#duplicates = Math.max(0, this.#duplicates - Math.max(0, left));
  }

  #beginIfLost({ acknowledged, sentEnd }: AckNews): boolean {
    if (this.#mode !== "none" || sentEnd <= acknowledged) return false;
    const lost = this.#duplicates >= duplicateThreshold || this.#scoreboard.lostEdge > acknowledged;
    if (!lost) return false;
    this.#mode = "fast";
    this.#recoveryPoint = sentEnd;
    this.#highRetransmitted = acknowledged;
    this.#lostFloor = Math.min(acknowledged + this.#segmentBytes, sentEnd);
    this.#rescued = false;
    return true;
  }

  #lostEnd(acknowledged: number): number {
    return Math.max(acknowledged, this.#lostFloor, this.#scoreboard.lostEdge);
  }
}

function cut(range: Range | undefined, mostBytes: number): Range | undefined {
  if (range === undefined) return undefined;
  return { start: range.start, end: Math.min(range.end, range.start + mostBytes) };
}
