/** One process on a memory network: it may be frozen (as by SIGSTOP), thawed, or dead (as by SIGKILL). */
export class MemoryHost {
  #state: "running" | "frozen" | "dead" = "running";
  readonly #lateTimers = new Set<() => void>();
  readonly #waitingFrames = new Set<() => void>();

  /** Whether nothing is sent or received now, though it may be later. */
  get frozen(): boolean {
    return this.#state === "frozen";
  }

  /** Whether nothing is ever sent or received again. */
  get dead(): boolean {
    return this.#state === "dead";
  }

  /** Stops the process: what is sent to it waits, its timers stand still. */
  freeze(): void {
    if (this.#state === "running") this.#state = "frozen";
  }

  /** Lets a frozen process go on: late timers run first, then what waited is delivered. */
  thaw(): void {
    if (this.#state !== "frozen") return;
    this.#state = "running";
    const waiting = [...this.#lateTimers, ...this.#waitingFrames];
    this.#lateTimers.clear();
    this.#waitingFrames.clear();
    for (const callback of waiting) callback();
  }

  /** Ends the process without a word to anybody. */
  die(): void {
    this.#state = "dead";
    this.#lateTimers.clear();
    this.#waitingFrames.clear();
  }

  /** Calls back once, at the next {@link thaw}, for a timer that fell due; the same callback is kept once. */
  runTimerAtThaw(callback: () => void): void {
    this.#lateTimers.add(callback);
  }

  /** Likewise for frames that wait, which come after all timers. */
  deliverAtThaw(callback: () => void): void {
    this.#waitingFrames.add(callback);
  }
}
