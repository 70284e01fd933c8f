import { millis, type Clock, type Timer } from "@culvert/runtime";
import type { NativeConnectionStats } from "./addon.ts";

/** What {@link SendQuiet} looks at. */
export interface SendQuietDeps {
  readonly clock: Clock;
  readonly readStats: () => NativeConnectionStats;
  /** Milliseconds. */
  readonly readRtt: () => number;
  /** Whether a stream that was ended still holds something that quinn has not taken. */
  readonly isEnding: () => boolean;
}

/**
 * Tells when what quinn has taken has arrived, which the addon does not say, from counters.
 *
 * quinn takes no more than the peer's window allows, so what it has taken leaves as fast as the path carries it. It has arrived when no
 * STREAM frame was sent for longer than a probe time-out (RFC 9002 §6.2), for quinn probes with a PING as long as anything is
 * unacknowledged. A PING that was not answered by an ACK, such as one lost with the rest, prolongs the wait until one is; what
 * was lost is then sent anew, and counted. Time is counted in looks, not read from a clock, so that a process that was held up does
 * not take its own standstill for the path's.
 */
export class SendQuiet {
  readonly #deps: SendQuietDeps;
  #waiting: Promise<void> | undefined;
  #resolve: () => void = () => undefined;
  #timer: Timer | undefined;
  #ended = false;
  #last = nothingSent;
  #quietLooks = 0;
  #unanswered = false;

  constructor(deps: SendQuietDeps) {
    this.#deps = deps;
  }

  /** Resolves when all has arrived, or at {@link end}. Never rejects. */
  wait(): Promise<void> {
    if (this.#ended) return Promise.resolve();
    if (this.#look().frames === 0 && !this.#deps.isEnding()) return Promise.resolve();
    this.#waiting ??= new Promise((resolve) => {
      this.#resolve = resolve;
      this.#last = this.#look();
      this.#quietLooks = 0;
      this.#unanswered = false;
      this.#schedule();
    });
    return this.#waiting;
  }

  /** Nothing more can arrive: ends every wait. */
  end(): void {
    this.#ended = true;
    this.#settle();
  }

  #settle(): void {
    this.#timer?.cancel();
    this.#waiting = undefined;
    this.#resolve();
  }

  #schedule(): void {
    this.#timer = this.#deps.clock.setTimer(lookEvery, () => {
      this.#count();
      if (this.#quietLooks >= this.#quietLooksNeeded()) this.#settle();
      else this.#schedule();
    });
  }

  #count(): void {
    const last = this.#last;
    const now = this.#look();
    this.#last = now;
    if (now.pings !== last.pings) this.#unanswered = true;
    // An ACK that came with the PING counts as its answer: a probe is only sent after no ACK has come for long.
    const answered = this.#unanswered && now.acks !== last.acks;
    if (answered) {
      this.#unanswered = false;
      // What the answer shows to be lost is sent within a look or two.
      this.#quietLooks = Math.min(this.#quietLooks, this.#quietLooksNeeded() - looksAfterAnswer);
    }
    const busy = now.frames !== last.frames || this.#unanswered || this.#deps.isEnding();
    this.#quietLooks = busy ? 0 : this.#quietLooks + 1;
  }

  #quietLooksNeeded(): number {
    // The probe time-out is rtt + 4 x variance + 25 ms; the variance of a fresh connection is half its rtt.
    const quietMs = Math.max(4 * (this.#deps.readRtt() + 1) + maxAckDelayMs, leastQuietMs);
    return Math.ceil(quietMs / lookEvery);
  }

  #look(): Look {
    const stats = this.#deps.readStats();
    return {
      frames: stats.frameTxStream,
      // Probes of the path's MTU are PINGs too, but nothing waits for their answer, and none may ever come.
      pings: (stats.frameTxPing - stats.pathSentPlpmtudProbes) >>> 0,
      acks: stats.frameRxAcks,
    };
  }
}

interface Look {
  readonly frames: number;
  readonly pings: number;
  readonly acks: number;
}

const nothingSent: Look = { frames: 0, pings: 0, acks: 0 };
const lookEvery = millis(20);
const leastQuietMs = 100;
const looksAfterAnswer = 2;
/** How long a peer may put off its ACK (RFC 9000 §18.2, the default). */
const maxAckDelayMs = 25;
