import { TransportError } from "@culvert/runtime";
import {
  encodeTcp,
  noTcpOptions,
  tcpFlag,
  type Ipv4Address,
  type Ipv4Header,
  type TcpOptions,
  type TcpSegment,
} from "../packet/index.ts";
import { AckLimit } from "./ack-limit.ts";
import { agreeTerms, synOptions, type HandshakeTerms } from "./handshake.ts";
import { KeepAlive } from "./keep-alive.ts";
import { ReceiveSide, type ByteReader } from "./receive-side.ts";
import { RttEstimator } from "./rtt-estimator.ts";
import { SendSide, type SegmentWriter } from "./send-side.ts";
import { positionNear, synPosition, wireSequence } from "./sequence.ts";
import { initialRtoMs, type TcpSettings } from "./tcp-settings.ts";
import { maySend, mayReceive, type TcpState } from "./tcp-state.ts";
import { Timestamps } from "./timestamps.ts";

/** Both ends of a connection, in the form packets have them. */
export interface TcpTuple {
  readonly localAddress: Ipv4Address;
  readonly localPort: number;
  readonly remoteAddress: Ipv4Address;
  readonly remotePort: number;
}

/** What a connection needs of its stack. */
export interface TcpHost {
  readonly settings: TcpSettings;
  readonly mtu: number;
  now(): number;
  /** Takes one whole packet and owns it. */
  output(packet: Uint8Array, destination: Ipv4Address): void;
  /** {@link TcpEngine.flush} is to be called before this turn of the event loop ends. */
  changed(engine: TcpEngine): void;
  /** {@link TcpEngine.dueMs} has changed. */
  reschedule(engine: TcpEngine): void;
  /** The connection has closed first, and only remembers (TIME-WAIT). */
  waitsOut(engine: TcpEngine): void;
  /** The connection is over; nothing of it is left. */
  released(engine: TcpEngine): void;
}

/** Whoever uses a connection. Called in the middle of the engine's work, and may call it back. */
export interface TcpUser extends ByteReader {
  /** The handshake is over. */
  established(): void;
  /** The peer sends nothing more; all of it was taken. */
  ended(): void;
  /** There is room to write again. */
  writable(): void;
  /** All that was written, and FIN, has arrived at the peer. */
  delivered(): void;
  /** The connection is over before its time. */
  failed(error: Error): void;
}

/** The initial numbers of a connection: unpredictable (RFC 9293 §3.4.1, RFC 7323 §7.1). */
export interface TcpSecrets {
  readonly initialSequence: number;
  readonly timestampOffset: number;
}

/** One connection: the state machine of RFC 9293 §3.10 between a send side and a receive side. */
export class TcpEngine implements SegmentWriter {
  readonly tuple: TcpTuple;
  /** Place in the stack's timer heap; the heap's own. */
  heapIndex = -1;
  /** The stack has it on its list for this turn. */
  isListed = false;
  readonly #host: TcpHost;
  readonly #user: TcpUser;
  readonly #ip: Ipv4Header;
  readonly #ourMss: number;
  readonly #initial: number;
  readonly #timestamps: Timestamps;
  readonly #send: SendSide;
  readonly #receive: ReceiveSide;
  readonly #ackLimit = new AckLimit();
  readonly #keepAlive: KeepAlive;
  #peerInitial = 0;
  #state: TcpState = "closed";
  #terms: HandshakeTerms | undefined;
  /** We sent the first SYN. */
  #isActive = false;
  /** Nobody reads or writes any more; what was written still goes out. */
  #isLingering = false;
  #ackDue = false;
  /** Segments with data since the last acknowledgement. */
  #unacknowledged = 0;
  #synSentAtMs = 0;
  #synCount = 0;
  /** When SYN is sent again, TIME-WAIT ends, or FIN of the peer is waited for no more. */
  #stateTimerMs = Infinity;
  #stateDeadlineMs = Infinity;

  constructor(host: TcpHost, user: TcpUser, tuple: TcpTuple, secrets: TcpSecrets) {
    const { settings } = host;
    this.tuple = tuple;
    this.#host = host;
    this.#user = user;
    this.#ip = { source: tuple.localAddress, destination: tuple.remoteAddress };
    this.#ourMss = host.mtu - headersBytes;
    this.#initial = secrets.initialSequence >>> 0;
    this.#timestamps = new Timestamps(secrets.timestampOffset);
    const rtt = new RttEstimator({
      initialMs: initialRtoMs,
      minMs: settings.minRtoMs,
      maxMs: settings.maxRtoMs,
    });
    this.#send = new SendSide(settings, rtt, this);
    this.#receive = new ReceiveSide(user, settings.receiveBufferBytes);
    this.#keepAlive = new KeepAlive(settings.keepAliveMs);
  }

  get state(): TcpState {
    return this.#state;
  }

  /** When {@link wake} is to be called; Infinity for never. */
  get dueMs(): number {
    const userMs = this.#send.stalledSinceMs + this.#host.settings.userTimeoutMs;
    return Math.min(
      this.#send.timerAtMs,
      this.#stateTimerMs,
      this.#stateDeadlineMs,
      userMs,
      this.#keepAlive.dueMs,
    );
  }

  get rttMs(): number {
    return this.#send.rtt.smoothedMs;
  }

  get retransmissions(): number {
    return this.#send.retransmissions;
  }

  /** Bytes written that the peer has not acknowledged. */
  get unacknowledgedBytes(): number {
    return this.#send.buffer.length;
  }

  /** Whether a writer may write more. */
  get hasRoom(): boolean {
    return this.#send.hasRoom;
  }

  /** Whether a SYN with these values may take the place of this connection, which is in TIME-WAIT (RFC 9293 §3.6.1, RFC 6191). */
  yieldsTo(syn: TcpSegment): boolean {
    if (this.#state !== "time-wait") return false;
    if (syn.options.timestamps !== undefined && this.#timestamps.agreed) {
      return this.#timestamps.isLater(syn.options.timestamps.value);
    }
    const position = positionNear(this.#peerInitial, syn.sequence, this.#receive.next);
    return position > this.#receive.next;
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

  /** Queues bytes, which belong to the connection until the peer has acknowledged them. */
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

  /** The reader has read: perhaps the peer is to be told. */
  readerMoved(): void {
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
    const known =
      this.#state !== "closed" && this.#state !== "syn-sent" && this.#state !== "time-wait";
    if (known) this.#emit(tcpFlag.rst | tcpFlag.ack, this.#send.next);
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
    this.#fail(
      new TransportError("dial_failed", `the network says unreachable, code ${code}`, {
        data: { code },
      }),
    );
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
    if (maySend(this.#state)) this.#send.flush(nowMs, this.#gapOptionBytes());
    const mayTell = this.#state !== "syn-sent" && this.#state !== "syn-received";
    if (mayTell && (this.#ackDue || (mayReceive(this.#state) && this.#receive.owesWindow))) {
      this.#sendAck();
    }
    this.#host.reschedule(this);
  }

  /** Something is due (see {@link dueMs}). */
  wake(nowMs: number): void {
    const { settings } = this.#host;
    if (this.#state === "closed") return;
    if (nowMs >= this.#send.stalledSinceMs + settings.userTimeoutMs) {
      this.#giveUp(`nothing acknowledged for ${settings.userTimeoutMs} ms`);
      return;
    }
    if (nowMs >= this.#stateDeadlineMs) this.#meetDeadline();
    else if (nowMs >= this.#stateTimerMs) this.#repeatSyn(nowMs);
    if (nowMs >= this.#send.timerAtMs) this.#send.expire(nowMs, this.#gapOptionBytes());
    if (nowMs >= this.#keepAlive.dueMs) this.#probeLife(nowMs);
    this.#host.reschedule(this);
  }

  /** For the send side only. */
  writeData(position: number, bytes: number, flags: { fin: boolean; push: boolean }): void {
    const parts = bytes > 0 ? this.#send.buffer.parts(position, bytes) : undefined;
    this.#emit(
      tcpFlag.ack | (flags.fin ? tcpFlag.fin : 0) | (flags.push && bytes > 0 ? tcpFlag.psh : 0),
      position,
      parts,
    );
  }

  #beginHandshake(limitMs: number): void {
    const nowMs = this.#host.now();
    this.#stateDeadlineMs = nowMs + limitMs;
    this.#send.synSent();
    this.#synSentAtMs = nowMs;
    this.#sendSyn(nowMs);
  }

  #sendSyn(nowMs: number): void {
    this.#synCount += 1;
    this.#stateTimerMs = nowMs + this.#send.rtt.rtoMs;
    const flags = this.#state === "syn-sent" ? tcpFlag.syn : tcpFlag.syn | tcpFlag.ack;
    this.#emit(flags, synPosition);
    this.#host.reschedule(this);
  }

  #repeatSyn(nowMs: number): void {
    this.#send.rtt.backOff();
    this.#sendSyn(nowMs);
  }

  #takeSyn(syn: TcpSegment, nowMs: number): void {
    const terms = agreeTerms(syn.options, this.#ourMss);
    this.#terms = terms;
    this.#peerInitial = syn.sequence;
    if (syn.options.timestamps !== undefined) {
      this.#timestamps.begin(syn.options.timestamps.value, nowMs);
    }
    this.#receive.begin(terms.ourShift, this.#ourMss);
    this.#send.setWindow(syn.window, synPosition, synPosition);
  }

  /** RFC 9293 §3.10.7.3. */
  #handleInSynSent(segment: TcpSegment, nowMs: number): void {
    const { flags } = segment;
    const hasAck = (flags & tcpFlag.ack) !== 0;
    const acknowledgesSyn = segment.acknowledgment === wireSequence(this.#initial, 1);
    if (hasAck && !acknowledgesSyn) {
      if ((flags & tcpFlag.rst) === 0) this.#sendBareReset(segment.acknowledgment);
      return;
    }
    if ((flags & tcpFlag.rst) !== 0) {
      if (hasAck) this.#fail(new TransportError("refused", "the peer refused the connection"));
      return;
    }
    if ((flags & tcpFlag.syn) === 0) return;
    this.#takeSyn(segment, nowMs);
    if (hasAck) {
      this.#establish(segment, nowMs);
      this.#ackDue = true;
    } else {
      // Both ends have sent SYN (RFC 9293 §3.5, figure 8).
      this.#state = "syn-received";
      this.#sendSyn(nowMs);
    }
  }

  /** RFC 9293 §3.10.7.4, with RFC 7323 §5.3 before it and RFC 5961 in it. */
  #handleSynchronized(segment: TcpSegment, nowMs: number): void {
    const { flags, payload } = segment;
    const reset = (flags & tcpFlag.rst) !== 0;
    let position = positionNear(this.#peerInitial, segment.sequence, this.#receive.next);
    const fin = (flags & tcpFlag.fin) !== 0;
    const length = payload.length + (fin ? 1 : 0);
    if ((flags & tcpFlag.syn) !== 0 && !reset && this.#state === "syn-received" && position === 0) {
      if ((flags & tcpFlag.ack) === 0) {
        this.#sendSyn(nowMs);
        return;
      }
      // The SYN of a simultaneous open once more, now with an acknowledgement of ours.
      position = 1;
      this.#ackDue = true;
    } else if ((flags & tcpFlag.syn) !== 0 && !reset) {
      this.#challenge(nowMs);
      return;
    }
    if (!reset && !this.#passesTimestamps(segment, position, nowMs)) return;
    let taken = payload;
    if (!this.#receive.isAcceptable(position, length)) {
      if (reset) return;
      const windowIsClosed = this.#receive.edge === this.#receive.next;
      if (!windowIsClosed || position !== this.#receive.next) {
        // Bytes that came twice are no loop of acknowledgements: their sender waits for ours.
        if (length > 0) this.#ackDue = true;
        else this.#challenge(nowMs);
        if (this.#state === "time-wait" && fin) this.#waitOut(nowMs);
        return;
      }
      // A probe of a closed window: its acknowledgement counts, its bytes do not (RFC 9293 §3.10.7.4).
      this.#ackDue = true;
      taken = nothing;
    }
    if (reset) {
      this.#handleReset(position, nowMs);
      return;
    }
    if ((flags & tcpFlag.ack) === 0) return;
    this.#keepAlive.heard(nowMs);
    if (!this.#handleAck(segment, position, nowMs)) return;
    if (length > 0) this.#handleData(position, taken, fin && taken === payload, nowMs);
  }

  #passesTimestamps(segment: TcpSegment, position: number, nowMs: number): boolean {
    if (!this.#timestamps.agreed) return true;
    const option = segment.options.timestamps;
    // RFC 7323 §3.2: without the option it is not of this connection.
    if (option === undefined) return false;
    if (this.#timestamps.isOld(option.value, nowMs)) {
      if (segment.payload.length > 0) this.#ackDue = true;
      else this.#challenge(nowMs);
      return false;
    }
    // Everything up to RCV.NXT is acknowledged at the end of each turn at the latest.
    if (position <= this.#receive.next) this.#timestamps.remember(option.value, nowMs);
    return true;
  }

  /** RFC 5961 §3.2: only a reset at exactly the next position is believed. */
  #handleReset(position: number, nowMs: number): void {
    if (position !== this.#receive.next) {
      this.#challenge(nowMs);
      return;
    }
    if (this.#state === "syn-received" && this.#isActive) {
      this.#fail(new TransportError("refused", "the peer refused the connection"));
    } else if (this.#state === "time-wait") {
      // A reset must not make the state forgotten too early (RFC 1337).
    } else this.#fail(new TransportError("stream_reset", "the peer reset the connection"));
  }

  /** Returns whether the rest of the segment is to be looked at. */
  #handleAck(segment: TcpSegment, segmentPosition: number, nowMs: number): boolean {
    const send = this.#send;
    const position = positionNear(this.#initial, segment.acknowledgment, send.acknowledged);
    if (this.#state === "syn-received") {
      if (position !== 1) {
        this.#sendBareReset(segment.acknowledgment);
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
        windowBytes: segment.window * 2 ** (this.#terms?.peerShift ?? 0),
        carriesData: segment.payload.length > 0,
        sack: this.#terms?.sack === true ? sack : undefined,
        timestampRttMs:
          timestamps === undefined || !this.#timestamps.agreed
            ? undefined
            : this.#timestamps.rttMs(timestamps.echo, nowMs),
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
      this.#ackDue = true;
      if (this.#state === "time-wait") this.#waitOut(nowMs);
      return;
    }
    if (this.#isLingering && payload.length > 0) {
      this.abort();
      return;
    }
    const inOrder = this.#receive.accept(position, payload, fin);
    if (this.state === "closed") return;
    this.#ackDue = true;
    this.#unacknowledged += 1;
    if (this.#receive.reachFin()) this.#finReceived(nowMs);
    // A gap, or a filled one, is told at once (RFC 5681 §4.2); in order, some segments share an acknowledgement.
    else if (!inOrder || this.#unacknowledged >= mostUnacknowledged) this.#sendAck();
  }

  #establish(segment: TcpSegment, nowMs: number): void {
    const terms = this.#terms;
    if (terms === undefined) return;
    const { rtt } = this.#send;
    const echo = segment.options.timestamps?.echo;
    const echoedMs =
      echo === undefined || !terms.timestamps ? undefined : this.#timestamps.rttMs(echo, nowMs);
    // RFC 6298 §3: without a timestamp nobody knows which SYN was acknowledged.
    if (this.#synCount === 1) rtt.sample(nowMs - this.#synSentAtMs);
    else if (echoedMs !== undefined) rtt.sample(echoedMs);
    else rtt.distrustAfterLostSyn();
    this.#send.begin({
      initial: this.#initial,
      segmentBytes: terms.segmentBytes,
      sackAllowed: terms.sack,
    });
    this.#stateTimerMs = Infinity;
    this.#stateDeadlineMs = Infinity;
    const shift = (segment.flags & tcpFlag.syn) !== 0 ? 0 : terms.peerShift;
    const position = positionNear(this.#peerInitial, segment.sequence, this.#receive.next);
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
    this.#stateTimerMs = Infinity;
    this.#stateDeadlineMs = nowMs + this.#host.settings.timeWaitMs;
    if (isNew) this.#host.waitsOut(this);
  }

  #meetDeadline(): void {
    const { state } = this;
    if (state === "time-wait") this.#close();
    else if (state === "fin-wait-2") this.abort();
    else this.#giveUp("the handshake took too long");
  }

  #probeLife(nowMs: number): void {
    if (!this.#keepAlive.probe(nowMs)) {
      this.#giveUp("the peer answers no keep-alive");
      return;
    }
    // One position back: nobody takes it, and everybody answers it (RFC 9293 §3.8.4).
    this.#emit(tcpFlag.ack, this.#send.next - 1);
  }

  #giveUp(text: string): void {
    const { state } = this;
    if (state !== "syn-sent") this.#emit(tcpFlag.rst | tcpFlag.ack, this.#send.next);
    this.#fail(new TransportError("timeout", text));
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
    this.#stateTimerMs = Infinity;
    this.#stateDeadlineMs = Infinity;
    this.#host.released(this);
  }

  #challenge(nowMs: number): void {
    if (this.#ackLimit.take(nowMs)) this.#sendAck();
  }

  #sendAck(): void {
    this.#emit(tcpFlag.ack, this.#send.next);
  }

  #sendBareReset(acknowledgment: number): void {
    const { localPort, remotePort } = this.tuple;
    const header = {
      sourcePort: localPort,
      destinationPort: remotePort,
      sequence: acknowledgment,
      acknowledgment: 0,
      flags: tcpFlag.rst,
      window: 0,
    };
    this.#host.output(encodeTcp(this.#ip, header), this.tuple.remoteAddress);
  }

  #emit(flags: number, position: number, parts?: readonly Uint8Array[]): void {
    const { localPort, remotePort } = this.tuple;
    const hasAck = (flags & tcpFlag.ack) !== 0;
    const isSyn = (flags & tcpFlag.syn) !== 0;
    const header = {
      sourcePort: localPort,
      destinationPort: remotePort,
      sequence: wireSequence(this.#initial, position),
      acknowledgment: hasAck ? wireSequence(this.#peerInitial, this.#receive.next) : 0,
      flags,
      window: isSyn ? this.#receive.advertiseUnscaled() : this.#receive.advertise(),
      options: this.#options(flags, parts !== undefined),
    };
    if (hasAck) {
      this.#ackDue = false;
      this.#unacknowledged = 0;
    }
    this.#host.output(encodeTcp(this.#ip, header, parts), this.tuple.remoteAddress);
  }

  #options(flags: number, hasData: boolean): TcpOptions {
    if ((flags & tcpFlag.rst) !== 0) return noTcpOptions;
    if ((flags & tcpFlag.syn) !== 0) {
      const timestamps = this.#timestamps.option(this.#host.now());
      return synOptions(this.#ourMss, timestamps, this.#terms);
    }
    const timestamps = this.#timestamps.agreed
      ? this.#timestamps.option(this.#host.now())
      : undefined;
    if (this.#terms?.sack !== true || !this.#receive.hasGaps) {
      return timestamps === undefined ? noTcpOptions : { timestamps };
    }
    const most = hasData ? blocksBesideData : timestamps === undefined ? 4 : 3;
    return { timestamps, sack: this.#receive.sackBlocks(this.#peerInitial, most) };
  }

  /** What the SACK option takes away from the room for data just now. */
  #gapOptionBytes(): number {
    if (this.#terms?.sack !== true || !this.#receive.hasGaps) return 0;
    return 4 + blocksBesideData * 8;
  }
}

/** IPv4 and TCP headers without options. */
const headersBytes = 40;
/** An acknowledgement goes out after so many segments, at the end of the turn at the latest: never later (RFC 9293 §3.8.6.3). */
const mostUnacknowledged = 8;
const blocksBesideData = 1;
const nothing = new Uint8Array(0);
