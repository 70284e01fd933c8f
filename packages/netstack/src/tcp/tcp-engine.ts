import { tcpFlag, type TcpSegment } from "../packet/index.ts";
import { AckLimit } from "./ack-limit.ts";
import { agreeTerms } from "./handshake.ts";
import { KeepAlive } from "./keep-alive.ts";
import { ReceiveSide } from "./receive-side.ts";
import { RttEstimator } from "./rtt-estimator.ts";
import { checkSegment, type Declined } from "./segment-check.ts";
import { SegmentOutput } from "./segment-output.ts";
import { SynClock } from "./syn-clock.ts";
import { SendSide, type SendFigures } from "./send-side.ts";
import { positionNear, synPosition, wireSequence } from "./sequence.ts";
import { refusedByPeer, resetByPeer, timedOut, unreachablePeer } from "./tcp-faults.ts";
import type { HostedConnection, TcpHost, TcpSecrets, TcpTuple, TcpUser } from "./tcp-host.ts";
import { initialRtoMs } from "./tcp-settings.ts";
import { isKnownToPeer, maySend, mayReceive, type TcpState } from "./tcp-state.ts";
import { Timestamps } from "./timestamps.ts";

/** One connection: the state machine of RFC 9293 §3.10 between a send side and a receive side. */
export class TcpEngine implements HostedConnection {
  readonly tuple: TcpTuple;
  /** Place in the stack's timer heap; the heap's own. */
  heapIndex = -1;
  /** The stack has it on its list for this turn. */
  isListed = false;
  readonly #host: TcpHost;
  readonly #user: TcpUser;
  readonly #initial: number;
  readonly #timestamps: Timestamps;
  readonly #send: SendSide;
  readonly #receive: ReceiveSide;
  readonly #output: SegmentOutput;
  readonly #ackLimit = new AckLimit();
  readonly #keepAlive: KeepAlive;
  #state: TcpState = "closed";
  /** We sent the first SYN. */
  #isActive = false;
  /** Nobody reads or writes any more; what was written still goes out. */
  #isLingering = false;
  /** A SYN was answered by an acknowledgement (RFC 5961 §4.2): a peer that knows nothing of the connection resets it. */
  #hasChallengedSyn = false;
  readonly #syn: SynClock;
  /** When the handshake has taken too long, TIME-WAIT ends, or FIN of the peer is waited for no more. */
  #stateDeadlineMs = Infinity;

  constructor(host: TcpHost, user: TcpUser, tuple: TcpTuple, secrets: TcpSecrets) {
    const { settings } = host;
    this.tuple = tuple;
    this.#host = host;
    this.#user = user;
    this.#initial = secrets.initialSequence >>> 0;
    this.#timestamps = new Timestamps(secrets.timestampOffset);
    const rtt = new RttEstimator({
      initialMs: initialRtoMs,
      minMs: settings.minRtoMs,
      maxMs: settings.maxRtoMs,
    });
    this.#receive = new ReceiveSide(user, settings.receiveBufferBytes, host.unread);
    this.#output = new SegmentOutput(host, tuple, this.#initial, this.#receive, this.#timestamps);
    this.#send = new SendSide(settings, rtt, this.#output);
    this.#syn = new SynClock(rtt);
    this.#keepAlive = new KeepAlive(settings.keepAliveMs);
  }

  get state(): TcpState {
    return this.#state;
  }

  /** When {@link wake} is to be called; Infinity for never. */
  get dueMs(): number {
    const stateMs = Math.min(this.#syn.repeatAtMs, this.#stateDeadlineMs);
    return Math.min(this.#send.dueMs, stateMs, this.#keepAlive.dueMs);
  }

  /** Figures for people. */
  get figures(): SendFigures {
    return this.#send.figures;
  }

  /** Whether a writer may write more. */
  get hasRoom(): boolean {
    return this.#send.hasRoom;
  }

  /** Whether a SYN with these values may take the place of this connection, which is in TIME-WAIT (RFC 9293 §3.6.1, RFC 6191). */
  yieldsTo(syn: TcpSegment): boolean {
    if (this.#state !== "time-wait") return false;
    const { timestamps } = syn.options;
    if (timestamps !== undefined && this.#timestamps.agreed) {
      return this.#timestamps.isLater(timestamps.value);
    }
    const { next } = this.#receive;
    return positionNear(this.#output.peerInitial, syn.sequence, next) > next;
  }

  /** Begins the handshake: sends SYN (RFC 9293 §3.10.1). */
  connect(timeoutMs: number): void {
    this.#isActive = true;
    this.#state = "syn-sent";
    this.#beginHandshake(timeoutMs);
  }

  /** Answers a SYN that a listener has taken (RFC 9293 §3.10.7.2). */
  acceptSyn(syn: TcpSegment): void {
    this.#takeSyn(syn, this.#host.now());
    this.#state = "syn-received";
    this.#beginHandshake(this.#host.settings.handshakeTimeoutMs);
  }

  /** Queues bytes, which are copied. */
  write(bytes: Uint8Array): void {
    this.#send.buffer.append(bytes);
    this.#host.changed(this);
  }

  /** Queues FIN (RFC 9293 §3.10.4). */
  finish(): void {
    if (this.#send.isFinQueued) return;
    if (this.#state === "established") this.#state = "fin-wait-1";
    else if (this.#state === "close-wait") this.#state = "last-ack";
    else return;
    this.#send.finish();
    this.#host.changed(this);
  }

  /** The reader has read, or has gone: perhaps the peer is to be told. */
  readerMoved(): void {
    this.#receive.settle();
    if (mayReceive(this.#state) && this.#receive.owesWindow) this.#host.changed(this);
  }

  /** Asks the peer whether it is there after so much silence; 0 never asks. */
  setKeepAlive(idleMs: number): void {
    this.#keepAlive.set(idleMs, this.#host.now());
    this.#host.reschedule(this);
  }

  /**
   * Nobody uses the connection any more. After FIN was queued it goes on to its end by itself; if not, or if bytes come that nobody
   * will read, the peer is told by RST (RFC 9293 §3.10.5, RFC 1122 §4.2.2.13).
   */
  leave(): void {
    if (!this.#send.isFinQueued || this.#user.unreadBytes() > 0) {
      this.abort();
      return;
    }
    this.#isLingering = true;
    this.#boundFinWait2();
  }

  /** Ends the connection at once, by RST where the peer knows of it (RFC 9293 §3.10.5). */
  abort(): void {
    if (isKnownToPeer(this.#state)) this.#output.sendReset(this.#send.next);
    this.#close();
  }

  /** {@link abort}, and the user is told why. */
  abortWith(error: Error): void {
    if (this.#state === "closed") return;
    this.abort();
    this.#user.failed(error);
  }

  /** ICMP said that nobody takes our segments: that ends a handshake, and nothing else (RFC 5461 §4.1, RFC 5927 §6). */
  unreachable(sequence: number, code: number): void {
    const ours = wireSequence(this.#initial, synPosition);
    if (this.#state !== "syn-sent" || sequence !== ours) return;
    this.#fail(unreachablePeer(code));
  }

  /** Takes a segment of the peer (RFC 9293 §3.10.7). */
  handle(segment: TcpSegment, nowMs: number): void {
    if (this.#state === "closed") return;
    if (this.#state === "syn-sent") this.#handleInSynSent(segment, nowMs);
    else this.#handleSynchronized(segment, nowMs);
    this.#host.changed(this);
  }

  /** Sends what is due at the end of a turn: data, and what the peer should know. */
  flush(nowMs: number): void {
    if (this.#state === "closed") return;
    if (maySend(this.#state)) this.#flushData(nowMs);
    const inHandshake = this.#state === "syn-sent" || this.#state === "syn-received";
    const owesWindow = mayReceive(this.#state) && this.#receive.owesWindow;
    if (!inHandshake && (this.#output.isAckDue || owesWindow)) this.#sendAck();
    this.#host.reschedule(this);
  }

  /** Sends data as far as there is room below, and no more at once than leaves others their turn. What is small always goes. */
  #flushData(nowMs: number): void {
    const { hasRoom } = this.#host;
    const optionBytes = this.#output.gapOptionBytes;
    if (hasRoom === undefined) this.#send.flush(nowMs, optionBytes);
    else if (this.#send.unsentBytes > smallBytes && !hasRoom()) this.#host.awaitsRoom?.(this);
    else if (!this.#send.flush(nowMs, optionBytes, turnBytes)) this.#host.changed(this);
  }

  /** Something is due (see {@link dueMs}). */
  wake(nowMs: number): void {
    const { userTimeoutMs } = this.#host.settings;
    if (nowMs >= this.#send.givesUpAtMs) {
      this.#giveUp(`nothing acknowledged for ${userTimeoutMs} ms`);
      return;
    }
    if (nowMs >= this.#stateDeadlineMs) this.#meetDeadline();
    else if (nowMs >= this.#syn.repeatAtMs) this.#sendSyn(nowMs, true);

    this.#send.wake(nowMs, this.#output.gapOptionBytes, this.#host.hasRoom?.());
    if (nowMs >= this.#keepAlive.dueMs) this.#probeLife(nowMs);
    this.#host.reschedule(this);
  }

  #beginHandshake(limitMs: number): void {
    const nowMs = this.#host.now();
    this.#stateDeadlineMs = nowMs + limitMs;
    this.#send.synSent();
    this.#sendSyn(nowMs);
  }

  #sendSyn(nowMs: number, again = false): void {
    this.#syn.sent(nowMs, again);
    this.#output.sendSyn();
    this.#host.reschedule(this);
  }

  #takeSyn(syn: TcpSegment, nowMs: number): void {
    const terms = agreeTerms(syn.options, this.#output.mssBytes);
    this.#output.terms = terms;
    this.#output.peerInitial = syn.sequence;
    if (syn.options.timestamps !== undefined) {
      this.#timestamps.begin(syn.options.timestamps.value, nowMs);
    }
    this.#receive.begin(terms.ourShift, this.#output.mssBytes);
    this.#send.setWindow(syn.window, synPosition, synPosition);
  }

  /** RFC 9293 §3.10.7.3. */
  #handleInSynSent(segment: TcpSegment, nowMs: number): void {
    const { flags } = segment;
    const hasAck = (flags & tcpFlag.ack) !== 0;
    const acknowledgesSyn = segment.acknowledgment === wireSequence(this.#initial, 1);
    if (hasAck && !acknowledgesSyn) {
      if ((flags & tcpFlag.rst) === 0) this.#output.sendResetFor(segment.acknowledgment);
      return;
    }
    if ((flags & tcpFlag.rst) !== 0) {
      if (hasAck) this.#fail(refusedByPeer());
      return;
    }
    if ((flags & tcpFlag.syn) === 0) return;
    this.#takeSyn(segment, nowMs);
    if (hasAck) {
      this.#establish(segment, nowMs);
      this.#output.isAckDue = true;
    } else {
      // Both ends have sent SYN (RFC 9293 §3.5, figure 8).
      this.#state = "syn-received";
      this.#sendSyn(nowMs);
    }
  }

  /** RFC 9293 §3.10.7.4, of which {@link checkSegment} is the beginning. */
  #handleSynchronized(segment: TcpSegment, nowMs: number): void {
    const { flags, payload } = segment;
    let position = positionNear(this.#output.peerInitial, segment.sequence, this.#receive.next);
    if ((flags & (tcpFlag.syn | tcpFlag.rst)) === tcpFlag.syn) {
      if (!this.#takesSynAgain(position, flags, nowMs)) return;
      position = 1;
    }
    const verdict = checkSegment(segment, position, this.#receive, this.#timestamps, nowMs);
    if (verdict !== "take" && verdict !== "probe") {
      this.#decline(verdict, flags, nowMs);
      return;
    }
    if (verdict === "probe") this.#output.isAckDue = true;
    if ((flags & tcpFlag.ack) === 0) return;
    this.#keepAlive.heard(nowMs);
    if (!this.#handleAck(segment, position, nowMs)) return;
    // What lies at or before RCV.NXT is acknowledged when the turn ends at the latest (RFC 7323 §4.3).
    const { timestamps } = segment.options;
    if (timestamps !== undefined && position <= this.#receive.next) {
      this.#timestamps.remember(timestamps.value, nowMs);
    }
    const fin = (flags & tcpFlag.fin) !== 0;
    if (payload.length === 0 && !fin) return;
    // Of a probe the acknowledgement counts, its bytes do not.
    if (verdict === "probe") this.#handleData(position, nothing, false, nowMs);
    else this.#handleData(position, payload, fin, nowMs);
  }

  /** A SYN where the peer's is known. Returns whether it is that of a simultaneous open, whose acknowledgement is to be looked at. */
  #takesSynAgain(position: number, flags: number, nowMs: number): boolean {
    if (this.#state !== "syn-received" || position !== synPosition) {
      // RFC 5961 §4.2.
      this.#hasChallengedSyn = true;
      this.#challenge(nowMs);
      return false;
    }
    if ((flags & tcpFlag.ack) === 0) {
      this.#sendSyn(nowMs);
      return false;
    }
    this.#output.isAckDue = true;
    return true;
  }

  #decline(verdict: Declined, flags: number, nowMs: number): void {
    if (verdict === "reset") this.#handleReset();
    else if (verdict === "challenge") this.#challenge(nowMs);
    else if (verdict !== "drop") this.#output.isAckDue = true;
    // FIN again in TIME-WAIT: our acknowledgement of it was lost.
    const isFinAgain = verdict === "repeated" && (flags & tcpFlag.fin) !== 0;
    if (isFinAgain && this.#state === "time-wait") this.#waitOut(nowMs);
  }

  #handleReset(): void {
    const isRefusal = this.#state === "syn-received" && this.#isActive;
    // TIME-WAIT must not be forgotten too early (RFC 1337), unless the peer has forgotten and wants to begin anew.
    if (this.#state !== "time-wait") this.#fail(isRefusal ? refusedByPeer() : resetByPeer());
    else if (this.#hasChallengedSyn) this.#close();
  }

  /** Returns whether the rest of the segment is to be looked at. */
  #handleAck(segment: TcpSegment, segmentPosition: number, nowMs: number): boolean {
    const send = this.#send;
    const position = positionNear(this.#initial, segment.acknowledgment, send.acknowledged);
    if (this.#state === "syn-received") {
      if (position !== 1) {
        this.#output.sendResetFor(segment.acknowledgment);
        return false;
      }
      this.#establish(segment, nowMs);
      if (this.state === "closed") return false;
    }
    // RFC 5961 §5.2.
    if (position > send.next || position < send.acknowledged - send.maxWindowBytes) {
      this.#challenge(nowMs);
      return false;
    }
    const advances = position > send.acknowledged;
    const { timestamps, sack } = segment.options;
    send.acknowledge(
      {
        position,
        segmentPosition,
        windowBytes: segment.window * 2 ** (this.#output.terms?.peerShift ?? 0),
        carriesData: segment.payload.length > 0,
        sack,
        timestampRttMs: this.#timestamps.rttMs(timestamps?.echo ?? 0, nowMs),
      },
      nowMs,
    );
    if (!advances) return true;
    if (send.isFinAcknowledged) this.#finAcknowledged(nowMs);
    else if (send.hasRoom) this.#user.writable();
    return this.state !== "closed";
  }

  #handleData(position: number, payload: Uint8Array, fin: boolean, nowMs: number): void {
    if (!mayReceive(this.#state)) {
      // Bytes after FIN are nonsense; FIN again means that our acknowledgement of it was lost.
      this.#output.isAckDue = true;
      if (this.#state === "time-wait") this.#waitOut(nowMs);
      return;
    }
    if (this.#isLingering && payload.length > 0) {
      this.abort();
      return;
    }
    const inOrder = this.#receive.accept(position, payload, fin);
    if (this.state === "closed") return;
    const manyOwed = this.#output.owe();
    if (this.#receive.reachFin()) this.#finReceived(nowMs);
    // A gap, or a filled one, is told at once (RFC 5681 §4.2); in order, some segments share an acknowledgement.
    else if (!inOrder || manyOwed) this.#sendAck();
  }

  #establish(segment: TcpSegment, nowMs: number): void {
    const terms = this.#output.terms;
    if (terms === undefined) return;
    const echo = segment.options.timestamps?.echo ?? 0;
    this.#syn.acknowledged(nowMs, this.#timestamps.rttMs(echo, nowMs));
    this.#send.begin({
      initial: this.#initial,
      segmentBytes: terms.segmentBytes,
      sackAllowed: terms.sack,
    });
    this.#stateDeadlineMs = Infinity;
    const shift = (segment.flags & tcpFlag.syn) !== 0 ? 0 : terms.peerShift;
    const position = positionNear(this.#output.peerInitial, segment.sequence, this.#receive.next);
    this.#send.setWindow(segment.window * 2 ** shift, position, 1);
    this.#state = "established";
    this.#keepAlive.heard(nowMs);
    this.#user.established();
  }

  /** RFC 9293 §3.10.7.4, eighth step. */
  #finReceived(nowMs: number): void {
    if (this.#state === "established") this.#state = "close-wait";
    else if (this.#state === "fin-wait-1") this.#state = "closing";
    else if (this.#state === "fin-wait-2") this.#waitOut(nowMs);
    this.#user.ended();
  }

  #finAcknowledged(nowMs: number): void {
    this.#user.delivered();
    if (this.#state === "fin-wait-1") {
      this.#state = "fin-wait-2";
      this.#boundFinWait2();
    } else if (this.#state === "closing") this.#waitOut(nowMs);
    else if (this.#state === "last-ack") this.#close();
  }

  #boundFinWait2(): void {
    if (this.#state !== "fin-wait-2" || !this.#isLingering) return;
    this.#stateDeadlineMs = this.#host.now() + this.#host.settings.finWait2Ms;
    this.#host.reschedule(this);
  }

  /** Enters TIME-WAIT, or begins it anew. */
  #waitOut(nowMs: number): void {
    const isNew = this.#state !== "time-wait";
    this.#state = "time-wait";
    this.#send.stop();
    this.#receive.stop();
    this.#keepAlive.set(0, nowMs);
    this.#syn.stop();
    this.#stateDeadlineMs = nowMs + this.#host.settings.timeWaitMs;
    if (isNew) this.#host.waitsOut(this);
  }

  #meetDeadline(): void {
    if (this.#state === "time-wait") this.#close();
    else if (this.#state === "fin-wait-2") this.abort();
    else this.#giveUp("the handshake took too long");
  }

  #probeLife(nowMs: number): void {
    if (!this.#keepAlive.probe(nowMs)) {
      this.#giveUp("the peer answers no keep-alive");
      return;
    }
    // One position back: nobody takes it, and everybody answers it (RFC 9293 §3.8.4).
    this.#output.sendAck(this.#send.next - 1);
  }

  #giveUp(text: string): void {
    if (isKnownToPeer(this.#state)) this.#output.sendReset(this.#send.next);
    this.#fail(timedOut(text));
  }

  #fail(error: Error): void {
    this.#close();
    this.#user.failed(error);
  }

  #close(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#send.stop();
    this.#receive.stop();
    this.#keepAlive.set(0, 0);
    this.#syn.stop();
    this.#stateDeadlineMs = Infinity;
    this.#host.released(this);
  }

  #challenge(nowMs: number): void {
    if (this.#ackLimit.take(nowMs)) this.#sendAck();
  }

  #sendAck(): void {
    this.#output.sendAck(this.#send.next);
  }
}

const nothing = new Uint8Array(0);
/** What a connection sends in one turn before others have theirs. */
const turnBytes = 128 * 1_024;
/** Interactive traffic: as much as goes although there is no room, since so little of it takes none. */
const smallBytes = 2 * 1_024;
