/**
 * The congestion window by CUBIC (RFC 9438), in bytes. It starts with ten segments (RFC 6928), begins in slow start (RFC 5681
 * §3.1), and never exceeds its bound.
 */
export class CubicWindow {
  readonly #segmentBytes: number;
  readonly #maxBytes: number;
  #windowBytes: number;
  #thresholdBytes = Infinity;
  /** The window before the latest reduction (W_max), bytes; 0 before the first. */
  #formerBytes = 0;
  /** The window before the latest reduction as it was, not lowered for fast convergence. */
  #priorBytes = 0;
  /** When the present stage of congestion avoidance began; undefined until its first acknowledgement. */
  #epochMs: number | undefined;
  /** How long after the epoch the curve reaches its plateau (K), seconds. */
  #plateauS = 0;
  /** What Reno would have by now (W_est), bytes. */
  #renoBytes = 0;

  constructor(segmentBytes: number, maxBytes: number) {
    this.#segmentBytes = segmentBytes;
    this.#maxBytes = Math.max(maxBytes, 2 * segmentBytes);
    this.#windowBytes = Math.min(this.#initialBytes(), this.#maxBytes);
  }

  get windowBytes(): number {
    return this.#windowBytes;
  }

  get thresholdBytes(): number {
    return this.#thresholdBytes;
  }

  /** New data was acknowledged while the window, and not the writer, was what limited us (RFC 9438 §4.2 to §4.5, §5.8). */
  acknowledged(bytes: number, nowMs: number, rttMs: number): void {
    if (this.#windowBytes < this.#thresholdBytes) this.#grow(this.#slowStartBytes(bytes));
    else this.#avoid(bytes, nowMs, rttMs);
  }

  /** A segment was lost while `flightBytes` were under way (RFC 9438 §4.6, §4.7). */
  lost(flightBytes: number): void {
    this.#remember();
    this.#thresholdBytes = Math.max(Math.round(flightBytes * decrease), 2 * this.#segmentBytes);
    this.#windowBytes = Math.min(this.#thresholdBytes, this.#maxBytes);
  }

  /** The retransmission timer expired (RFC 9438 §4.8, RFC 5681 §3.1 equation 4): back to one segment. */
  timedOut(flightBytes: number): void {
    this.#remember();
    this.#thresholdBytes = Math.max(Math.round(flightBytes * decrease), 2 * this.#segmentBytes);
    this.#windowBytes = this.#segmentBytes;
  }

  /** It expired once more for the same segment: back to one segment, while the threshold stays (RFC 5681 §3.1). */
  timedOutAgain(): void {
    this.#epochMs = undefined;
    this.#windowBytes = this.#segmentBytes;
  }

  /** Nothing was sent for longer than a time-out: what the path bore then says little now (RFC 5681 §4.1). */
  restartAfterIdle(): void {
    this.#windowBytes = Math.min(this.#windowBytes, this.#initialBytes());
    this.#epochMs = undefined;
  }

  #initialBytes(): number {
    return initialSegments * this.#segmentBytes;
  }

  // One acknowledgement may cover many segments, but never unlocks a burst of more than this (RFC 3465 §2.1).
  #slowStartBytes(bytes: number): number {
    return Math.min(bytes, maxBurstSegments * this.#segmentBytes);
  }

  #remember(): void {
    this.#epochMs = undefined;
    this.#priorBytes = this.#windowBytes;
    // Fast convergence: a flow that could not reach its former window makes room for others (RFC 9438 §4.7).
    this.#formerBytes =
      this.#windowBytes < this.#formerBytes
        ? (this.#windowBytes * (1 + decrease)) / 2
        : this.#windowBytes;
  }

  #avoid(bytes: number, nowMs: number, rttMs: number): void {
    this.#epochMs ??= this.#beginEpoch(nowMs);
    const window = this.#windowBytes;
    const elapsedS = (nowMs - this.#epochMs) / 1_000;
    const share = bytes / window;
    this.#renoBytes += share * this.#segmentBytes * this.#renoIncrease();
    if (this.#curve(elapsedS) < this.#renoBytes) {
      this.#grow(Math.max(0, this.#renoBytes - window));
      return;
    }
    const target = Math.min(this.#curve(elapsedS + rttMs / 1_000), 1.5 * window);
    this.#grow(Math.max(0, target - window) * Math.min(share, 1));
  }

  #beginEpoch(nowMs: number): number {
    if (this.#formerBytes < this.#windowBytes) this.#formerBytes = this.#windowBytes;
    const missingSegments = (this.#formerBytes - this.#windowBytes) / this.#segmentBytes;
    this.#plateauS = Math.cbrt(missingSegments / scaling);
    this.#renoBytes = this.#windowBytes;
    return nowMs;
  }

  /** W_cubic of RFC 9438 §4.2, in bytes. */
  #curve(elapsedS: number): number {
    return scaling * (elapsedS - this.#plateauS) ** 3 * this.#segmentBytes + this.#formerBytes;
  }

  #renoIncrease(): number {
    return this.#renoBytes >= this.#priorBytes ? 1 : (3 * (1 - decrease)) / (1 + decrease);
  }

  #grow(bytes: number): void {
    this.#windowBytes = Math.min(this.#windowBytes + bytes, this.#maxBytes);
  }
}

const initialSegments = 10;
const maxBurstSegments = 8;
/** β_cubic and C of RFC 9438 §4.6 and §5.1. */
const decrease = 0.7;
const scaling = 0.4;
