import { CubicWindow } from "./cubic.ts";
import { LossRecovery } from "./loss-recovery.ts";
import { PeerWindow } from "./peer-window.ts";
import type { RttEstimator } from "./rtt-estimator.ts";
import { RttSamples } from "./rtt-samples.ts";
import type { SackBlock } from "../packet/index.ts";
import { SendBuffer } from "./send-buffer.ts";
import type { SentSegment } from "./sent-segments.ts";
import { TailLossProbe } from "./tail-loss-probe.ts";
import type { TcpSettings } from "./tcp-settings.ts";

/** Sends what the send side has decided on. */
export interface SegmentWriter {
  /** A segment at `position` with the bytes of `parts`, which are valid during the call only. */
  sendData(position: number, parts: readonly Uint8Array[], fin: boolean, push: boolean): void;
}

/** What the sending of a connection has come to. */
export interface SendFigures {
  /** Written, and not yet acknowledged by the peer. */
  readonly unacknowledgedBytes: number;
  /** Segments sent more than once. */
  readonly retransmittedSegments: number;
  /** Smoothed; 0 before the first sample. */
  readonly rttMs: number;
}

/** What the handshake agreed on, as the send side needs it. */
export interface SendTerms {
  /** Our initial sequence number. */
  readonly initial: number;
  /** The most payload of a segment. */
  readonly segmentBytes: number;
  readonly sackAllowed: boolean;
}

/** What of an acknowledgement concerns the send side. */
export interface Acknowledgement {
  /** SEG.ACK, between SND.UNA and SND.NXT or older. */
  readonly position: number;
  /** Position of the segment that carried it, in the peer's direction. */
  readonly segmentPosition: number;
  /** Bytes, scaled. */
  readonly windowBytes: number;
  readonly carriesData: boolean;
  /** Counts only if both ends agreed on it ({@link SendTerms.sackAllowed}). */
  readonly sack: readonly SackBlock[] | undefined;
  /** The round-trip time its timestamp shows; undefined without one. */
  readonly timestampRttMs: number | undefined;
}

/** Sends bytes and FIN, and sees to it that they arrive (RFC 9293 §3.8). */
export class SendSide {
  readonly buffer = new SendBuffer(1);
  readonly rtt: RttEstimator;
  readonly #samples: RttSamples;
  readonly #window = new PeerWindow();
  readonly #settings: TcpSettings;
  readonly #writer: SegmentWriter;
  #congestion: CubicWindow;
  #recovery: LossRecovery;
  readonly #tailProbe = new TailLossProbe();
  #segmentBytes = 1;
  /** SND.UNA and SND.NXT. */
  #acknowledged = 0;
  #next = 0;
  #finPosition: number | undefined;
  #limitedByCongestion = false;
  #lastSentMs = 0;
  #timerAtMs = Infinity;
  #tailAtMs = Infinity;
  #probes = 0;
  /** Since when the peer has acknowledged nothing though it should; Infinity while nothing is due. */
  #stalledSinceMs = Infinity;
  #retransmissions = 0;

  constructor(settings: TcpSettings, rtt: RttEstimator, writer: SegmentWriter) {
    this.#settings = settings;
    this.rtt = rtt;
    this.#samples = new RttSamples(rtt);
    this.#writer = writer;
    this.#congestion = new CubicWindow(1, 1);
    this.#recovery = new LossRecovery({ initial: 0, segmentBytes: 1, sackAllowed: false });
  }

  get acknowledged(): number {
    return this.#acknowledged;
  }

  get next(): number {
    return this.#next;
  }

  /** Written, and not sent even once. */
  get unsentBytes(): number {
    return Math.max(0, this.buffer.end - this.#next);
  }

  get windowBytes(): number {
    return this.#window.bytes;
  }

  /** MAX.SND.WND of RFC 5961 §5. */
  get maxWindowBytes(): number {
    return this.#window.maxBytes;
  }

  /** When {@link expire} is to be called; Infinity for never. */
  get timerAtMs(): number {
    return this.#timerAtMs;
  }

  /** When a peer that acknowledges nothing has had the user time-out (RFC 9293 §3.8.3); Infinity while nothing is due. */
  get givesUpAtMs(): number {
    return this.#stalledSinceMs + this.#settings.userTimeoutMs;
  }

  /** When {@link wake} is to be called, or the connection to be given up. */
  get dueMs(): number {
    const { lookAtMs } = this.#recovery;
    return Math.min(this.#timerAtMs, this.#tailAtMs, lookAtMs, this.givesUpAtMs);
  }

  get figures(): SendFigures {
    return {
      unacknowledgedBytes: this.buffer.length,
      retransmittedSegments: this.#retransmissions,
      rttMs: this.rtt.smoothedMs,
    };
  }

  /** Whether a writer may write more. */
  get hasRoom(): boolean {
    return this.buffer.length < this.#settings.sendBufferBytes;
  }

  /** Whether FIN was sent and the peer has acknowledged it. */
  get isFinAcknowledged(): boolean {
    return this.#finPosition !== undefined && this.#acknowledged > this.#finPosition;
  }

  get isFinQueued(): boolean {
    return this.#finPosition !== undefined;
  }

  /** SYN was sent: the only position before the first byte. */
  synSent(): void {
    this.#next = 1;
  }

  /** The peer has acknowledged SYN. */
  begin(terms: SendTerms): void {
    this.#segmentBytes = terms.segmentBytes;
    this.#congestion = new CubicWindow(terms.segmentBytes, this.#settings.maxCongestionWindowBytes);
    this.#recovery = new LossRecovery(terms);
    this.#acknowledged = 1;
    this.#next = 1;
    this.#timerAtMs = Infinity;
    this.#stalledSinceMs = Infinity;
  }

  /** Queues FIN after everything written. Nothing may be written after that. */
  finish(): void {
    this.#finPosition ??= this.buffer.end;
  }

  /** Sets the window that SYN, whose windows are never scaled, or its acknowledgement told (RFC 9293 §3.10.7.3). */
  setWindow(bytes: number, segmentPosition: number, ackPosition: number): void {
    this.#window.set(bytes, segmentPosition, ackPosition);
  }

  /** Takes an acknowledgement that the state machine has found acceptable (RFC 9293 §3.10.7.4, fifth step). */
  acknowledge(ack: Acknowledgement, nowMs: number): void {
    const flightBytes = this.#next - this.#acknowledged;
    const advancedBytes = ack.position - this.#acknowledged;
    const formerWindowBytes = this.#window.bytes;
    if (advancedBytes < 0) return;
    const isNews = this.#window.update(ack.windowBytes, ack.segmentPosition, ack.position);
    if (isNews && formerWindowBytes === 0 && ack.windowBytes > 0) this.#windowOpened(nowMs);
    if (advancedBytes > 0) this.#advance(ack, nowMs);
    else if (this.#window.bytes === 0 && flightBytes > 0) this.#stalledSinceMs = nowMs;
    // Of a closed window every answer to a probe looks the same, and tells of no loss.
    const windowIsSame = this.#window.bytes === formerWindowBytes && formerWindowBytes > 0;
    const duplicate = advancedBytes === 0 && !ack.carriesData && windowIsSame;
    this.#heardOfTail(ack, duplicate, flightBytes);
    if (flightBytes === 0) {
      if (this.#stalledSinceMs !== Infinity) this.#stalledSinceMs = nowMs;
      return;
    }
    const wasRecovering = this.#recovery.mode;
    const began = this.#recovery.acknowledge(
      {
        acknowledged: this.#acknowledged,
        sentEnd: this.#next,
        advancedBytes,
        duplicate,
        sack: ack.sack,
        echoedMs: ack.timestampRttMs,
        smoothedMs: this.rtt.smoothedMs,
      },
      nowMs,
    );
    if (began) this.#lose(flightBytes);
    else if (advancedBytes > 0 && wasRecovering !== "fast" && this.#limitedByCongestion) {
      this.#congestion.acknowledged(advancedBytes, nowMs, this.rtt.smoothedMs);
    }
  }

  /**
   * Sends what may be sent now: first what was lost, then what is new, until `turnBytes` have gone. `optionBytes` are taken by options of
   * this moment. False: there may be more to send.
   */
  flush(nowMs: number, optionBytes: number, turnBytes = Infinity): boolean {
    const mostBytes = this.#segmentBytes - optionBytes;
    if (this.#next === this.#acknowledged && nowMs - this.#lastSentMs > this.rtt.rtoMs) {
      this.#congestion.restartAfterIdle();
    }
    this.#limitedByCongestion = false;
    let { pipeBytes } = this.#recovery;
    const mostPipeBytes = pipeBytes + turnBytes;
    while (pipeBytes < mostPipeBytes) {
      const roomBytes = this.#congestion.windowBytes - pipeBytes;
      const sentBytes =
        this.#sendLost(roomBytes, mostBytes, nowMs) ?? this.#sendNew(roomBytes, mostBytes, nowMs);
      if (sentBytes === 0) break;
      pipeBytes += sentBytes;
      this.#lastSentMs = nowMs;
    }
    this.#arm(nowMs);
    return pipeBytes < mostPipeBytes;
  }

  /** Something is due (see {@link dueMs}). `hasRoom`: what is sent leaves at once, so that a late acknowledgement means something. */
  wake(nowMs: number, optionBytes: number, hasRoom = true): void {
    if (nowMs >= this.#timerAtMs) this.expire(nowMs, optionBytes);
    else if (nowMs >= this.#recovery.lookAtMs) this.#look(nowMs, optionBytes);
    else if (nowMs >= this.#tailAtMs) {
      this.#tailAtMs = Infinity;
      if (hasRoom) this.#probeTail(nowMs, optionBytes);
    }
  }

  /** The timer has expired: something is lost, or the window has been closed for long. */
  expire(nowMs: number, optionBytes: number): void {
    this.#timerAtMs = Infinity;
    if (this.#next > this.#acknowledged && this.#window.bytes > 0)
      this.#retransmit(nowMs, optionBytes);
    else this.#probe(nowMs, optionBytes);
  }

  /** Nothing will be sent any more. */
  stop(): void {
    this.#timerAtMs = Infinity;
    this.#tailAtMs = Infinity;
    this.#recovery.stop();
    this.#stalledSinceMs = Infinity;
    this.buffer.releaseTo(this.buffer.end);
  }

  #advance(ack: Acknowledgement, nowMs: number): void {
    this.#samples.acknowledged(this.#acknowledged, ack.position, ack.timestampRttMs, nowMs);
    this.#acknowledged = ack.position;
    // Whoever takes bytes is asked again as soon as at first.
    this.#probes = 0;
    this.#tailAtMs = Infinity;
    this.buffer.releaseTo(ack.position);
    const flightBytes = this.#next - ack.position;
    // RFC 6298 §5.2 and §5.3.
    if (flightBytes === 0) this.#timerAtMs = Infinity;
    else if (!this.#recovery.keepsTimer(ack.position)) this.#timerAtMs = nowMs + this.rtt.rtoMs;
    this.#stalledSinceMs = flightBytes > 0 ? nowMs : Infinity;
  }

  #windowOpened(nowMs: number): void {
    if (this.#next > this.#acknowledged) this.#timerAtMs = nowMs + this.rtt.rtoMs;
    else this.#timerAtMs = Infinity;
  }

  /** Fast recovery begins, or the probe of a tail has replaced what was lost. */
  #lose(flightBytes: number): void {
    this.#congestion.lost(flightBytes);
    this.#tailProbe.forget();
  }

  #heardOfTail({ position, sack }: Acknowledgement, duplicate: boolean, flightBytes: number): void {
    if (!this.#tailProbe.isUnderWay) return;
    const twice = this.#recovery.isToldOfDuplicate(sack, this.#acknowledged);
    if (this.#tailProbe.acknowledged(position, duplicate, twice)) this.#lose(flightBytes);
  }

  /** So much time has passed that something may count as lost (RFC 8985 §6.2 step 5). */
  #look(nowMs: number, optionBytes: number): void {
    const flightBytes = this.#next - this.#acknowledged;
    if (this.#recovery.look(this.#next, this.rtt.smoothedMs, nowMs)) this.#lose(flightBytes);
    this.flush(nowMs, optionBytes);
  }

  /** Undefined: nothing is lost. 0: something is, but there is no room to send it again. */
  #sendLost(roomBytes: number, mostBytes: number, nowMs: number): number | undefined {
    const lost = this.#recovery.nextLost(mostBytes);
    if (lost === undefined) return undefined;
    if (lost.end - lost.start > roomBytes && !this.#recovery.isFirstDue) {
      this.#limitedByCongestion = true;
      return 0;
    }
    return this.#sendAgain(lost, nowMs);
  }

  #sendAgain(segment: SentSegment, nowMs: number): number {
    this.#recovery.sentAgain(segment, nowMs);
    this.#writeAgain(segment.start, segment.end, nowMs);
    return segment.end - segment.start;
  }

  #writeAgain(start: number, end: number, nowMs: number): void {
    this.#samples.sentAgain(end, nowMs);
    this.#retransmissions += 1;
    this.#write(start, end);
  }

  #sendNew(roomBytes: number, mostBytes: number, nowMs: number): number {
    const unsentBytes = this.buffer.end - this.#next;
    const finDue = this.#finPosition !== undefined && this.#next <= this.#finPosition;
    if (unsentBytes <= 0 && !finDue) return 0;
    const usableBytes = this.#acknowledged + this.#window.bytes - this.#next;
    const bytes = Math.min(unsentBytes, mostBytes, usableBytes);
    if (bytes <= 0 && unsentBytes > 0) return 0;
    // No small piece of a small window (RFC 9293 §3.8.6.2.1); the last bytes written go at once, since Nagle is off.
    if (bytes < unsentBytes && bytes < mostBytes && bytes < this.#window.maxBytes / 2) return 0;
    if (bytes > roomBytes && this.#next > this.#acknowledged) {
      this.#limitedByCongestion = true;
      return 0;
    }
    const sendsFin = finDue && bytes === unsentBytes;
    const end = this.#next + bytes + (sendsFin ? 1 : 0);
    this.#sendFirst(end, nowMs);
    return bytes + (sendsFin ? 1 : 0);
  }

  #sendFirst(end: number, nowMs: number): void {
    const start = this.#next;
    // A probe's timer, if one runs, has no meaning any more.
    if (start === this.#acknowledged) this.#timerAtMs = Infinity;
    this.#next = end;
    this.#tailAtMs = Infinity;
    this.#recovery.segments.add(start, end, nowMs);
    this.#samples.sent(end, nowMs);
    if (this.#stalledSinceMs === Infinity) this.#stalledSinceMs = nowMs;
    this.#write(start, end);
  }

  #write(start: number, end: number): void {
    const bytesEnd = Math.min(end, this.buffer.end);
    const bytes = bytesEnd - start;
    const parts = bytes > 0 ? this.buffer.parts(start, bytes) : noParts;
    this.#writer.sendData(start, parts, end > bytesEnd, bytes > 0 && bytesEnd === this.buffer.end);
  }

  #arm(nowMs: number): void {
    if (this.#next > this.#acknowledged) {
      // RFC 6298 §5.1.
      if (this.#timerAtMs === Infinity) this.#timerAtMs = nowMs + this.rtt.rtoMs;
      this.#armTail(nowMs);
      return;
    }
    // Bytes wait for the window to open, and the news of that may be lost (RFC 9293 §3.8.6.1).
    const blocked = this.buffer.end > this.#next;
    if (blocked && this.#timerAtMs === Infinity) {
      this.#timerAtMs = nowMs + this.#probeDelayMs();
      if (this.#stalledSinceMs === Infinity) this.#stalledSinceMs = nowMs;
    }
  }

  /** RFC 8985 §7.2. */
  #armTail(nowMs: number): void {
    if (!this.#mayProbeTail) this.#tailAtMs = Infinity;
    else if (this.#tailAtMs === Infinity) {
      const delayMs = this.#tailProbe.delayMs(this.rtt.smoothedMs, this.#recovery.segments.count);
      this.#tailAtMs = nowMs + delayMs;
    }
  }

  get #mayProbeTail(): boolean {
    if (this.#tailProbe.isUnderWay || !this.rtt.hasSample || this.#window.bytes === 0) return false;
    return this.#recovery.mayProbeTail;
  }

  /** Sends something new, or the last once more, whose acknowledgement tells what became of what was sent before it (RFC 8985 §7.3). */
  #probeTail(nowMs: number, optionBytes: number): void {
    const mostBytes = this.#segmentBytes - optionBytes;
    const isNew = this.#sendNew(Infinity, mostBytes, nowMs) > 0;
    // Often it is asked in vain, where the way has become slower: no more is repeated than any path carries as one packet.
    const repeatedBytes = Math.min(mostBytes, mostProbeBytes);
    const last = isNew ? undefined : this.#recovery.lastSent(repeatedBytes);
    if (last !== undefined) this.#sendAgain(last, nowMs);
    this.#tailProbe.sent(this.#next, !isNew);
    this.#timerAtMs = nowMs + this.rtt.rtoMs;
  }

  #retransmit(nowMs: number, optionBytes: number): void {
    // The threshold follows the first loss of a segment, not its repetitions; the window follows each (RFC 5681 §3.1).
    if (this.#recovery.timeOuts > 0) this.#congestion.timedOutAgain();
    else this.#congestion.timedOut(this.#next - this.#acknowledged);
    this.rtt.backOff();
    this.#tailProbe.forget();
    this.#recovery.timedOut(this.#next, this.rtt.smoothedMs, nowMs);
    this.flush(nowMs, optionBytes);
  }

  /** Sends one octet, or what a small window takes, to learn the window (RFC 9293 §3.8.6.1 and §3.8.6.2.1). */
  #probe(nowMs: number, optionBytes: number): void {
    this.#probes += 1;
    if (this.#next > this.#acknowledged) {
      this.#writeAgain(this.#acknowledged, this.#acknowledged + 1, nowMs);
    } else if (this.buffer.end > this.#next) {
      const unsentBytes = this.buffer.end - this.#next;
      const mostBytes = this.#segmentBytes - optionBytes;
      const bytes = Math.min(unsentBytes, mostBytes, Math.max(1, this.#window.bytes));
      this.#sendFirst(this.#next + bytes, nowMs);
      this.#samples.distrust();
    } else return;
    this.#timerAtMs = nowMs + this.#probeDelayMs();
  }

  #probeDelayMs(): number {
    const mostMs = this.#settings.userTimeoutMs / probesPerUserTimeout;
    return Math.min(this.rtt.rtoMs * 2 ** Math.min(this.#probes, 16), mostMs);
  }
}

/** Some probes of a closed window may be lost in a row before the peer counts as gone. */
const probesPerUserTimeout = 12;
/** What a probe of a tail repeats at most. */
const mostProbeBytes = 1_460;
const noParts: readonly Uint8Array[] = [];
