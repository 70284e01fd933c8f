import type { SackBlock } from "../packet/index.ts";
import { duplicateThreshold, Rack, type RackState } from "./rack.ts";
import { SackScoreboard, tellsOfDuplicate } from "./sack-scoreboard.ts";
import { SentSegments, type SentSegment } from "./sent-segments.ts";

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
  /** The round-trip time its timestamp shows; undefined without one. */
  readonly echoedMs: number | undefined;
  /** Smoothed round-trip time, milliseconds. */
  readonly smoothedMs: number;
}

/** What a {@link LossRecovery} needs to know of its connection. */
export interface RecoveryTerms {
  /** Our initial sequence number. */
  readonly initial: number;
  readonly segmentBytes: number;
  readonly sackAllowed: boolean;
}

/**
 * Finds out what was lost and says what to send again: with SACK by time (RFC 8985 §6), without it by duplicate acknowledgements as NewReno
 * does (RFC 6582), and after a time-out from the first byte on. Positions are never taken back: SND.NXT stays, gaps are filled.
 */
export class LossRecovery {
  readonly segments = new SentSegments();
  readonly #terms: RecoveryTerms;
  readonly #scoreboard = new SackScoreboard();
  readonly #rack = new Rack();
  #mode: "none" | "fast" | "timeout" = "none";
  /** Recovery is over when this is acknowledged (RecoveryPoint). */
  #recoveryPoint = 0;
  #duplicates = 0;
  /** The peer reports nothing of what it holds, be it that SACK was not agreed on, or that it keeps silent: some do after their FIN. */
  #isBlind: boolean;
  #isFirstDue = false;
  /** Partial acknowledgements since fast recovery began. */
  #partials = 0;
  /** Time-outs since the peer has last acknowledged anything. */
  #timeOuts = 0;
  #lookAtMs = Infinity;

  constructor(terms: RecoveryTerms) {
    this.#terms = terms;
    this.#isBlind = !terms.sackAllowed;
  }

  get mode(): "none" | "fast" | "timeout" {
    return this.#mode;
  }

  /** Time-outs in a row, without anything acknowledged in between. */
  get timeOuts(): number {
    return this.#timeOuts;
  }

  /**
   * Whether the retransmission timer goes on although this is acknowledged: without reports each round trip repairs one gap only, and
   * where there are many a time-out is quicker (RFC 6582 §4, the impatient variant).
   */
  keepsTimer(acknowledged: number): boolean {
    if (this.#mode !== "fast" || !this.#isBlind) return false;
    return this.#partials > 0 && acknowledged < this.#recoveryPoint;
  }

  /** When {@link look} is to be called; Infinity for never. */
  get lookAtMs(): number {
    return this.#lookAtMs;
  }

  /** Nothing was sent again since recovery began: the first segment goes whatever the window says (RFC 6675 §5 step 4.3). */
  get isFirstDue(): boolean {
    return this.#isFirstDue;
  }

  /** How many bytes are estimated to be in the network (RFC 6675 §4). */
  get pipeBytes(): number {
    const { flyingBytes } = this.segments;
    // Without SACK each duplicate says that one segment has left the network (RFC 5681 §3.2, RFC 3042).
    return Math.max(0, flyingBytes - this.#duplicates * this.#terms.segmentBytes);
  }

  /** Whether a probe may look for a lost tail: otherwise there are better ways to know (RFC 8985 §7.2). */
  get mayProbeTail(): boolean {
    return this.#terms.sackAllowed && this.#mode === "none" && this.#scoreboard.isEmpty;
  }

  /** Returns true when fast recovery begins: the congestion window is to be reduced, once (RFC 6675 §5). */
  acknowledge(news: AckNews, nowMs: number): boolean {
    const { acknowledged, advancedBytes } = news;
    if (advancedBytes > 0) {
      this.#scoreboard.advance(acknowledged);
      this.segments.acknowledge(acknowledged, (segment) =>
        this.#rack.delivered(segment, nowMs, news.echoedMs),
      );
      this.#advance(news);
    }
    if (this.#terms.sackAllowed && news.sack !== undefined) {
      this.#isBlind = false;
      this.#duplicates = 0;
      this.#takeSack(news, news.sack, nowMs);
    } else if (advancedBytes === 0 && news.duplicate && this.#scoreboard.isEmpty) {
      this.#isBlind = true;
      this.#duplicates += 1;
    }
    // Where nothing is reported, what arrives late says nothing of what was sent before it.
    if (this.#isBlind) return this.#beginByDuplicates(news);
    return this.look(news.sentEnd, news.smoothedMs, nowMs);
  }

  /** Looks for what must be lost by now (RFC 8985 §6.2 step 5). Returns as {@link acknowledge} does. */
  look(sentEnd: number, smoothedMs: number, nowMs: number): boolean {
    this.#lookAtMs = this.#rack.findLost(this.segments, this.#rackState(smoothedMs), nowMs);
    return this.#mode === "none" && this.segments.nextLost !== undefined && this.#begin(sentEnd);
  }

  /** The retransmission timer expired (RFC 8985 §6.3). Without SACK all that was sent counts as lost (RFC 5681 §3.1). */
  timedOut(sentEnd: number, smoothedMs: number, nowMs: number): void {
    const state = this.#rackState(smoothedMs);
    this.#timeOuts += 1;
    const isAgain = this.#timeOuts > 1;
    // A second time in a row, the peer may have thrown away what it held (RFC 2018 §8).
    if (isAgain) {
      this.#scoreboard.clear();
      this.segments.forgetHeld();
    }
    const { first, heldCount } = this.segments;
    const all = isAgain || this.#isBlind;
    this.segments.loseAll(
      (segment) =>
        all || segment === first || this.#rack.isOverdue(segment, heldCount, state, nowMs),
    );
    this.#mode = "timeout";
    this.#recoveryPoint = sentEnd;
    this.#duplicates = 0;
    this.#isFirstDue = true;
    this.#lookAtMs = Infinity;
  }

  /** The next lost segment, of which at most `mostBytes` are to be sent again at once. */
  nextLost(mostBytes: number): SentSegment | undefined {
    const lost = this.segments.nextLost;
    if (lost !== undefined && lost.end - lost.start > mostBytes) {
      this.segments.split(lost, lost.start + mostBytes);
    }
    return lost;
  }

  /** The last segment under way, or its last `mostBytes`. */
  lastSent(mostBytes: number): SentSegment | undefined {
    const { last } = this.segments;
    if (last === undefined || last.end - last.start <= mostBytes) return last;
    this.segments.split(last, last.end - mostBytes);
    return this.segments.last;
  }

  /** Whether an acknowledgement says that something came twice. */
  isToldOfDuplicate(sack: readonly SackBlock[] | undefined, acknowledged: number): boolean {
    const { initial, sackAllowed } = this.#terms;
    return sackAllowed && sack !== undefined && tellsOfDuplicate(sack, initial, acknowledged);
  }

  /** Nothing is looked for any more. */
  stop(): void {
    this.#lookAtMs = Infinity;
  }

  /** A segment was sent again. */
  sentAgain(segment: SentSegment, nowMs: number): void {
    this.segments.sendAgain(segment, nowMs);
    this.#isFirstDue = false;
  }

  #takeSack({ acknowledged, sentEnd }: AckNews, sack: readonly SackBlock[], nowMs: number): void {
    const { initial } = this.#terms;
    if (this.isToldOfDuplicate(sack, acknowledged)) {
      this.#rack.receivedTwice(acknowledged, sentEnd);
    }
    const scoreboard = this.#scoreboard;
    for (const { start, end } of scoreboard.update(sack, initial, acknowledged, sentEnd)) {
      this.segments.hold(
        start,
        end,
        (segment) =>
          scoreboard.heldBetween(segment.start, segment.end) === segment.end - segment.start,
        (segment) => this.#rack.delivered(segment, nowMs, undefined),
      );
    }
  }

  #advance({ acknowledged, advancedBytes }: AckNews): void {
    this.#timeOuts = 0;
    if (this.#mode === "none") {
      this.#duplicates = 0;
      return;
    }
    if (acknowledged >= this.#recoveryPoint) {
      this.#mode = "none";
      this.#duplicates = 0;
      this.#isFirstDue = false;
      this.#rack.recovered();
      return;
    }
    if (this.#mode !== "fast" || !this.#isBlind) return;
    // A partial acknowledgement: what follows it is lost too (RFC 6582 §3.2 step 3).
    this.#partials += 1;
    const { first } = this.segments;
    if (first !== undefined) this.segments.lose(first);
    this.#isFirstDue = true;
    const left = advancedBytes / this.#terms.segmentBytes - 1;
    this.#duplicates = Math.max(0, this.#duplicates - Math.max(0, left));
  }

  #beginByDuplicates({ acknowledged, sentEnd }: AckNews): boolean {
    this.#lookAtMs = Infinity;
    const { first } = this.segments;
    if (this.#mode !== "none" || first === undefined) return false;
    // Duplicates may answer what recovery has sent in vain (RFC 6582 §3.2 step 1).
    if (this.#duplicates < duplicateThreshold || acknowledged <= this.#recoveryPoint) return false;
    this.segments.lose(first);
    return this.#begin(sentEnd);
  }

  #begin(sentEnd: number): true {
    this.#mode = "fast";
    this.#partials = 0;
    this.#recoveryPoint = sentEnd;
    this.#isFirstDue = true;
    return true;
  }

  #rackState(smoothedMs: number): RackState {
    return { smoothedMs, isRecovering: this.#mode !== "none" };
  }
}
