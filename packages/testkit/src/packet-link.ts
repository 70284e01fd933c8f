import { millis, type Clock, type Random } from "@culvert/runtime";

/** How bad a link of packets is. The shares are between 0 and 1, each packet's fate is drawn by itself. */
export interface PacketLinkOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** Milliseconds from end to end; 10 if absent. */
  readonly latencyMs?: number;
  /** Share of packets that never arrive. */
  readonly loss?: number;
  /** Share of packets that arrive twice, the second time up to `jitterMs` later. */
  readonly duplication?: number;
  /** Share of packets that are up to `jitterMs` late, so that others overtake them. */
  readonly delay?: number;
  /** Twice the latency if absent. */
  readonly jitterMs?: number;
  /** Share of packets that arrive with one of their bits flipped. */
  readonly corruption?: number;
  /** Bytes per millisecond each way; no limit if absent. */
  readonly bytesPerMs?: number;
  /** Packets on the way in one direction, beyond which more are lost; 1,000 if absent. */
  readonly maxInFlight?: number;
}

/** One end of the link. */
export interface PacketLinkEnd {
  /** Takes a packet and owns it from then on. */
  readonly send: (packet: Uint8Array) => void;
  /** Called with each packet that arrives here, its memory shared with nobody. Nothing is done with packets before it is set. */
  onPacket: ((packet: Uint8Array) => void) | undefined;
}

/** What became of packets, both ways together. */
export interface PacketLinkCounters {
  sent: number;
  lost: number;
  duplicated: number;
  delayed: number;
  corrupted: number;
  overflowed: number;
  delivered: number;
}

/** Two ends that exchange packets with the misfortunes of a network, in the clock's time: a seed and options replay the same. */
export class PacketLink {
  readonly near: PacketLinkEnd;
  readonly far: PacketLinkEnd;
  readonly counters: PacketLinkCounters = {
    sent: 0,
    lost: 0,
    duplicated: 0,
    delayed: 0,
    corrupted: 0,
    overflowed: 0,
    delivered: 0,
  };
  /** Cut: nothing sent arrives from now on, while true. What is on the way does. */
  isCut = false;
  readonly #options: PacketLinkOptions;

  constructor(options: PacketLinkOptions) {
    this.#options = options;
    this.near = { send: this.#direction(() => this.far), onPacket: undefined };
    this.far = { send: this.#direction(() => this.near), onPacket: undefined };
  }

  #direction(target: () => PacketLinkEnd): (packet: Uint8Array) => void {
    const { clock, latencyMs = 10, jitterMs = 2 * latencyMs, bytesPerMs } = this.#options;
    let inFlight = 0;
    let lineFreeAtMs = 0;
    const arriveAfter = (delayMs: number, packet: Uint8Array): void => {
      if (inFlight >= (this.#options.maxInFlight ?? defaultMaxInFlight)) {
        this.counters.overflowed++;
        return;
      }
      inFlight++;
      clock.setTimer(millis(delayMs), () => {
        inFlight--;
        this.counters.delivered++;
        target().onPacket?.(packet);
      });
    };
    return (packet) => {
      this.counters.sent++;
      if (this.isCut || this.#happens(this.#options.loss)) {
        this.counters.lost++;
        return;
      }
      let delayMs = latencyMs;
      if (bytesPerMs !== undefined) {
        lineFreeAtMs = Math.max(lineFreeAtMs, clock.now()) + packet.length / bytesPerMs;
        delayMs += lineFreeAtMs - clock.now();
      }
      if (this.#happens(this.#options.duplication)) {
        this.counters.duplicated++;
        arriveAfter(delayMs + this.#jitter(jitterMs), Uint8Array.from(packet));
      }
      if (this.#happens(this.#options.delay)) {
        this.counters.delayed++;
        delayMs += this.#jitter(jitterMs);
      }
      if (this.#happens(this.#options.corruption)) this.#corrupt(packet);
      arriveAfter(delayMs, packet);
    };
  }

  #happens(share: number | undefined): boolean {
    return share !== undefined && share > 0 && this.#options.random.fraction() < share;
  }

  #jitter(jitterMs: number): number {
    return this.#options.random.fraction() * jitterMs;
  }

  #corrupt(packet: Uint8Array): void {
    this.counters.corrupted++;
    const bit = Math.floor(this.#options.random.fraction() * packet.length * 8);
    packet[bit >>> 3] = (packet[bit >>> 3] ?? 0) ^ (1 << (bit & 7));
  }
}

const defaultMaxInFlight = 1_000;
