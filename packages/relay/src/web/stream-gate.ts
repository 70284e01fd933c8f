import { LimitError, millis, type Clock, type Millis, type Timer } from "@culvert/runtime";

/**
 * How many streams a site's device has at a time, over all its visitors. Open to all until a stream is cut off before it answered: a
 * browser asks for fifty files at once by HTTP/2, and a small web server takes five connections and resets the others. Then no more
 * are let in than survived, the others wait for their turn, and some time after the last cut the gate is open again. Nobody waits longer
 * than that, so answers without end cannot shut others out.
 */
export class StreamGate {
  readonly #clock: Clock;
  readonly #waiting = new Set<() => void>();
  readonly #holders = new Set<() => void>();
  #inside = 0;
  #limit = Infinity;
  #timer: Timer | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** How many may be inside now. */
  get limit(): number {
    return this.#limit;
  }

  /** Whether somebody waits: idle streams should make room. */
  get crowded(): boolean {
    return this.#waiting.size > 0;
  }

  /** Adds somebody who may hold idle streams, and gives them up when called. Returns the function that takes the holder away. */
  addHolder(giveUp: () => void): () => void {
    this.#holders.add(giveUp);
    return () => this.#holders.delete(giveUp);
  }

  /**
   * Resolves with the function that lets out again, which may be called several times. Who has gone is let in like the others.
   * @throws LimitError `queue_full` where too many wait.
   */
  async enter(): Promise<() => void> {
    if (this.#inside < this.#limit) this.#inside += 1;
    else await this.#turn();
    let inside = true;
    return () => {
      if (!inside) return;
      inside = false;
      this.#inside -= 1;
      this.#admit();
    };
  }

  /** A stream was cut off before it answered, and has been let out. */
  cut(): void {
    this.#limit = Math.max(fewest, Math.min(this.#limit, this.#inside));
    this.#timer?.cancel();
    this.#timer = this.#clock.setTimer(holdTime, () => this.#open(), { unref: true });
  }

  #turn(): Promise<void> {
    if (this.#waiting.size >= mostWaiting) {
      const text = `${mostWaiting} requests wait for the device already`;
      throw new LimitError("queue_full", text, { data: { limit: "mostWaiting" } });
    }
    return new Promise((resolve) => {
      this.#waiting.add(resolve);
      for (const giveUp of this.#holders) giveUp();
    });
  }

  #open(): void {
    this.#limit = Infinity;
    this.#admit();
  }

  #admit(): void {
    for (const resolve of this.#waiting) {
      if (this.#inside >= this.#limit) return;
      // The place is theirs from now on, not from when they wake up.
      this.#inside += 1;
      this.#waiting.delete(resolve);
      resolve();
    }
  }
}

/** Fewer than this no web server takes; a service that is just being restarted would seem to. */
const fewest = 4;
/** Time after the last cut in which the gate stays narrow. */
const holdTime: Millis = millis(5_000);
const mostWaiting = 4_096;
