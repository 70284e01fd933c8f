import type { RemoteInfo } from "node:dgram";
import {
  errorText,
  formatMillis,
  type Clock,
  type CloseReason,
  type Random,
} from "@culvert/runtime";
import type { PeerId } from "@culvert/identity";
import type { DatagramDropReason, QuicConnectionStats, UdpAddress } from "../engine.ts";
import type { QuicSettings } from "../settings.ts";
import { AckDelay } from "./ack-delay.ts";
import {
  applicationCloseCode,
  encodeReason,
  engineFault,
  reasonFromQuiche,
} from "./close-reasons.ts";
import { ConnectionStreams } from "./connection-streams.ts";
import type { DriverCounts } from "./driver-counts.ts";
import type { GuardedConnection } from "./guarded-connection.ts";
import { KeepAlive } from "./keep-alive.ts";
import { LossWatch } from "./loss-watch.ts";
import { readNetworkError } from "./network-errors.ts";
import { PathKeeper } from "./path-keeper.ts";
import type { PeerPaths } from "./peer-paths.ts";
import { provePeer } from "./prove-peer.ts";
import type { ReadBuffer } from "./read-buffer.ts";
import { RefusalCheck } from "./refusal-check.ts";
import type { ResetTokens } from "./reset-tokens.ts";
import { SpareIds, type IdOwner } from "./spare-ids.ts";
import { maxFinDatagrams } from "./stream-ends.ts";
import { largestCongestionWindow, staysOnMachine } from "./transport-config.ts";
import { TurnTimer } from "./turn-timer.ts";
import type { TurnScheduler, TurnTaker } from "./turn-scheduler.ts";
import type { SlotWaiter, UdpSocket } from "./udp-socket.ts";

/** What a driver is made from. */
export interface DriverDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly scheduler: TurnScheduler;
  readonly readBuffer: ReadBuffer;
  readonly socket: UdpSocket;
  readonly link: GuardedConnection;
  readonly paths: PeerPaths;
  readonly resetTokens: ResetTokens;
  readonly owner: DriverOwner;
  /** Tells the operator that quiche failed in a way no peer should be able to cause. */
  readonly warnOfFault: (text: string) => void;
}

/** Who hears of a connection's life. */
export interface DriverOwner extends IdOwner {
  /** The handshake is done and the peer's identity proved; no stream has been looked at yet. */
  established(peer: PeerId): void;
  /** The connection is over; `cause` where an error of ours ended it. Called once. */
  ended(reason: CloseReason, cause: Error | undefined): void;
}

type State =
  | { readonly phase: "handshaking"; readonly deadlineMs: number }
  | { readonly phase: "open" }
  | { readonly phase: "over" };

/**
 * Drives one quiche connection: datagrams go in as they arrive; once per turn of the event loop streams are read and written, and
 * what quiche then wants to send is sent. One timer serves all deadlines.
 */
export class ConnectionDriver implements TurnTaker, SlotWaiter {
  readonly streams: ConnectionStreams;
  /** A copy of the datagram by which we closed the connection; undefined before, and where nothing could be sent. */
  lastWord: Uint8Array | undefined;
  readonly #deps: DriverDeps;
  readonly #settings: QuicSettings;
  #state: State;
  /** The connection's idle time-out: the smaller of both sides'. */
  #idleMs: number;
  /** A datagram came from another address than the peer's last one since the last turn. */
  #moved = false;
  /** Datagrams received since the last turn. */
  #heard = 0;
  #heardMs: number;
  #sweptMs: number;
  #windowLimited = false;
  /** What came in brought nothing for anybody here, so that no answer will follow from it. */
  #unanswerable = false;
  readonly #keepAlive: KeepAlive;
  readonly #acks: AckDelay;
  readonly #losses: LossWatch;
  readonly #timer: TurnTimer;
  readonly #refusal: RefusalCheck;
  readonly #paths: PathKeeper;
  readonly #ids: SpareIds;
  #networkError: Error | undefined;
  #finalStats: QuicConnectionStats | undefined;

  constructor(deps: DriverDeps, options: { isServer: boolean; settings: QuicSettings }) {
    this.#deps = deps;
    this.#settings = options.settings;
    this.#idleMs = options.settings.idleTimeout;
    const nowMs = deps.clock.now();
    this.#heardMs = this.#sweptMs = nowMs;
    this.#state = { phase: "handshaking", deadlineMs: nowMs + options.settings.handshakeTimeout };
    this.streams = new ConnectionStreams({
      link: deps.link,
      readBuffer: deps.readBuffer,
      isServer: options.isServer,
      settings: options.settings,
      schedule: () => this.#schedule(),
    });
    const { clock } = deps;
    const { counts } = deps.link;
    this.#acks = new AckDelay({ clock, counts, onDue: () => this.#schedule() });
    this.#keepAlive = new KeepAlive({
      received: () => deps.link.stats()?.recv ?? 0,
      ...{ isServer: options.isServer, silenceMs: options.settings.keepAlive, nowMs },
    });
    this.#losses = new LossWatch({ clock, link: deps.link, window: this.streams.window });
    this.#refusal = new RefusalCheck(deps.link);
    this.#paths = new PathKeeper(deps);
    this.#ids = new SpareIds(deps);
    // Not at once: after a long pause the sockets are to be read first, or silence would be blamed on the peer.
    this.#timer = new TurnTimer({ clock, counts, onFire: () => this.#schedule() });
    this.#schedule();
  }

  /** What driving this connection has cost so far. */
  get counts(): Readonly<DriverCounts> {
    return this.#deps.link.counts;
  }

  /** Where the peer is now. */
  get remote(): UdpAddress {
    return this.#deps.paths.remote;
  }

  /** Whether nothing can be sent or received any more. */
  get over(): boolean {
    return this.#state.phase === "over";
  }

  /** Takes in a datagram, whose bytes are overwritten. Returns why it was dropped, if it was. */
  receive(datagram: Buffer, from: RemoteInfo): DatagramDropReason | undefined {
    if (this.over) return "unknown_connection";
    const { clock, link, paths } = this.#deps;
    const info = paths.admit(from, this.#state.phase === "open", clock.now());
    if (info === undefined) return "rate_limit";
    link.receive(datagram, info);
    this.#heard += 1;
    if (this.#paths.heard(info, from)) this.#moved = true;
    this.#schedule();
    return undefined;
  }

  /** The kernel refused to send to the peer, or told that nobody is there. For a socket with one peer. */
  handleSocketError(error: Error): void {
    const { reason, fatal, forgeable } = readNetworkError(error);
    if (this.#state.phase === "handshaking" || (fatal && !forgeable)) {
      this.#end(reason, error);
    } else if (fatal) {
      this.#refusal.suspect(error, this.#deps.clock.now());
      this.#schedule();
    } else {
      // A route that is gone may come back before the idle time-out.
      this.#networkError = error;
    }
  }

  /** Tells the peer and ends at once. */
  close(reason: CloseReason, cause?: Error): void {
    if (this.over) return;
    this.#deps.link.close(applicationCloseCode, encodeReason(reason));
    this.#flush(maxLastWords);
    this.#end(reason, cause);
  }

  /** Resolves when what ended streams sent has arrived, or the connection is over. */
  drain(): Promise<void> {
    if (this.over) return Promise.resolve();
    this.#schedule();
    return this.streams.delivery.settled();
  }

  turn(): void {
    if (this.over) return;
    const { clock, link } = this.#deps;
    const nowMs = clock.now();
    link.counts.turns += 1;
    const heard = this.#heard > 0;
    if (heard) this.#takeNote(nowMs);
    const timerFired = this.#timer.takeFired();
    if (timerFired) this.#handleTimeout();
    if (this.#state.phase === "handshaking") this.#shakeHands(this.#state.deadlineMs, nowMs);
    if (this.#isOpen()) this.#moveStreams(heard, nowMs);
    if (!this.#mayWait(nowMs, timerFired)) this.#sendAll(nowMs);
    if (timerFired && this.#isOpen()) this.#paths.probeOld();
    // Listeners of streams ran meanwhile, and may have closed the connection.
    if (this.#hasEnded()) return;
    const refusal = this.#refusal.verdict(nowMs);
    if (refusal !== undefined) this.#end(readNetworkError(refusal).reason, refusal);
    else if (link.fault !== undefined || link.isOver()) this.#endByQuiche();
    else this.#endTurn(nowMs);
  }

  slotsFree(): void {
    this.#schedule();
  }

  stats(): QuicConnectionStats {
    const openStreams = this.streams.openCount;
    if (this.#finalStats !== undefined) return { ...this.#finalStats, openStreams };
    return { ...this.#deps.link.traffic(), openStreams };
  }

  #shakeHands(deadlineMs: number, nowMs: number): void {
    const { clock, link, owner } = this.#deps;
    if (link.isOver()) return;
    if (!link.isEstablished()) {
      if (nowMs < deadlineMs) return;
      const text = `no handshake within ${formatMillis(this.#settings.handshakeTimeout)}`;
      this.close({ by: "timeout", code: "handshake", text });
      return;
    }
    let peer: PeerId;
    try {
      peer = provePeer(link, clock.wallNowMs());
    } catch (error) {
      const text = errorText(error);
      this.close(
        { by: "us", code: "handshake_failed", text },
        error instanceof Error ? error : undefined,
      );
      return;
    }
    this.#state = { phase: "open" };
    const peerIdleMs = link.stats()?.peerMaxIdleTimeout ?? 0;
    if (peerIdleMs > 0) this.#idleMs = Math.min(this.#idleMs, peerIdleMs);
    this.#ids.offerFirst();
    owner.established(peer);
  }

  #moveStreams(heard: boolean, nowMs: number): void {
    const { link, socket } = this.#deps;
    if (heard) this.streams.probe();
    if (this.streams.needsSweep && nowMs - this.#sweptMs >= sweepIntervalMs) {
      this.#sweptMs = nowMs;
      this.streams.sweep();
    }
    const received = this.streams.receive();
    this.#unanswerable = heard && !received;
    if (this.#hasEnded()) return;
    if (this.#keepAlive.isDue(nowMs)) link.ping();
    // What waited goes first, and shows what room there is.
    if (this.streams.window.mayHoldUnsent) this.#flush();
    // No more than can leave now: what quiche holds unsent only grows old.
    this.#windowLimited = this.streams.send(socket.freeSlots);
  }

  /** Of datagrams that came in. */
  #takeNote(nowMs: number): void {
    this.#acks.heard(this.#heard);
    this.#heard = 0;
    this.#heardMs = nowMs;
    this.#keepAlive.heard(nowMs);
    // Before a time-out, which came later, takes away what the peer has opened.
    this.streams.heard();
    this.#paths.update();
    this.#ids.replaceRetired();
  }

  /** Whether there is nothing to send that cannot wait for company. */
  #mayWait(nowMs: number, timerFired: boolean): boolean {
    const { link } = this.#deps;
    const moved = this.#moved;
    this.#moved = false;
    if (moved || timerFired || !this.#isOpen() || this.streams.hasEnds) return false;
    if (this.#unanswerable || link.wantsToSend || link.fault !== undefined) return false;
    return !this.#findsLost() && this.#acks.putOff(nowMs);
  }

  /** Whether something is known to be lost, and is to be sent again; on one machine that is not worth the asking. */
  #findsLost(): boolean {
    return !staysOnMachine(this.#settings) && this.#losses.hasGrown();
  }

  #handleTimeout(): void {
    const { link } = this.#deps;
    this.#losses.hasGrown();
    link.onTimeout();
    if (this.#losses.hasGrown()) this.streams.window.shrunk();
    this.#paths.update();
  }

  #sendAll(nowMs: number): void {
    if (this.over) return;
    const { link, socket } = this.#deps;
    let flushed = this.#flush();
    if (this.#isOpen()) {
      if (flushed && this.#windowLimited) this.#claimWindowLimited();
      if (this.streams.hasEnds) this.#losses.hasGrown();
      flushed = flushed && this.#sendFins();
      if (flushed && this.streams.hasEnds && this.#nothingInFlight(nowMs, link.timeout() ?? 0)) {
        this.streams.window.nothingInFlight();
        this.#sendFins();
      }
      if (this.streams.hasEnds && socket.freeSlots < maxFinDatagrams) socket.awaitSlot(this, false);
      if (this.streams.finishResets(nowMs)) this.#flush();
    }
    // Once more after a fault: quiche tells the peer what was wrong.
    if (link.fault !== undefined) this.#flush();
  }

  /** Sends ends that can leave now. Returns false if quiche may have more to send. */
  #sendFins(): boolean {
    const { link, socket } = this.#deps;
    let flushed = true;
    while (flushed && this.streams.handOverFin(socket.freeSlots)) {
      const before = link.counts.sentDatagrams;
      flushed = this.#flush();
      if (link.counts.sentDatagrams === before) this.streams.window.shrunk();
    }
    return flushed;
  }

  #flush(limit = Infinity): boolean {
    const { link, paths, socket } = this.#deps;
    const lastWord = limit !== Infinity;
    for (let count = 0; count < limit; count += 1) {
      const slot = socket.takeSlot(lastWord);
      if (slot === undefined) {
        socket.awaitSlot(this, count === 0);
        return false;
      }
      const sent = link.send(slot.buffer);
      if (sent === null) {
        socket.returnSlot(slot);
        this.streams.window.flushed();
        this.#acks.paid();
        return true;
      }
      link.counts.sentDatagrams += 1;
      this.streams.window.sent(sent[0]);
      if (lastWord) this.lastWord = Uint8Array.from(slot.buffer.subarray(0, sent[0]));
      socket.send(slot, sent[0], paths.destination(sent[1].to));
    }
    return false;
  }

  #claimWindowLimited(): void {
    const { link, paths, socket } = this.#deps;
    this.#windowLimited = false;
    const windowBytes = link.activePath()?.congestionWindowBytes ?? Infinity;
    if (windowBytes >= largestCongestionWindow(this.#settings)) return;
    const slot = socket.takeSlot();
    if (slot === undefined) return;
    const length = link.claimWindowLimited(slot.buffer);
    if (length > 0) socket.send(slot, length, paths.remote);
    else socket.returnSlot(slot);
  }

  #endByQuiche(): void {
    const { link } = this.#deps;
    const reason = reasonFromQuiche({
      peer: link.peerError(),
      local: link.localError(),
      timedOut: link.isTimedOut(),
      fault: link.fault,
    });
    if (reason.code === engineFault) this.#deps.warnOfFault(reason.text);
    if (reason.by === "timeout" && this.#networkError !== undefined) {
      this.#end(readNetworkError(this.#networkError).reason, this.#networkError);
    } else {
      this.#end(reason);
    }
  }

  #end(reason: CloseReason, cause?: Error): void {
    if (this.over) return;
    const { owner, scheduler, socket } = this.#deps;
    this.#finalStats = this.stats();
    this.#state = { phase: "over" };
    this.#timer.cancel();
    this.#acks.end();
    scheduler.cancel(this);
    socket.forget(this);
    this.streams.end(reason);
    owner.ended(reason, cause);
  }

  /** Methods, so that they are asked anew after every call that may have changed the state. */
  #isOpen(): boolean {
    return this.#state.phase === "open";
  }

  #hasEnded(): boolean {
    return this.#state.phase === "over";
  }

  /** Sees to it that the next turn comes in time. */
  #endTurn(nowMs: number): void {
    const { link } = this.#deps;
    const quicheMs = link.timeout();
    if (this.#isOpen()) this.streams.endTurn(this.#nothingInFlight(nowMs, quicheMs ?? 0));
    // quiche rounds down, and would not act yet.
    let atMs = quicheMs === undefined ? Infinity : nowMs + quicheMs + 1;
    if (this.#state.phase === "handshaking") atMs = Math.min(atMs, this.#state.deadlineMs);
    else atMs = Math.min(atMs, this.#keepAlive.dueMs, this.#refusal.dueMs);
    if (this.streams.needsSweep) atMs = Math.min(atMs, this.#sweptMs + sweepIntervalMs);
    this.#timer.fireBy(atMs, nowMs);
  }

  /** Whether all that was sent is acknowledged, if quiche's next deadline is that far off. */
  #nothingInFlight(nowMs: number, quicheMs: number): boolean {
    // With something in flight, quiche's next deadline would be that for its loss.
    const idleMs = this.#heardMs + this.#idleMs - nowMs;
    return quicheMs >= idleMs - idleSlackMs;
  }

  #schedule(): void {
    if (!this.over) this.#deps.scheduler.schedule(this);
  }
}

/** How often streams are looked after that wait for nothing; a stop of the peer on one of many idle streams shows this late. */
const sweepIntervalMs = 100;
/** Datagrams a closing connection may send beyond the socket's bound. */
const maxLastWords = 4;
/** Between a datagram's arrival and the turn that follows it, at most; where it is more, the next one shows. */
const idleSlackMs = 50;
