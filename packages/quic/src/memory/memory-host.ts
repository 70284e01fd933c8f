/** One process on a memory network: it may be frozen (as by SIGSTOP), thawed, or dead (as by SIGKILL). */
export class MemoryHost {
  #state: "running" | "frozen" | "dead" = "running";
  readonly #onThaw = new Set<() => void>();

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
    const waiting = [...this.#onThaw];
    this.#onThaw.clear();
    for (const callback of waiting) callback();
  }

  /** Ends the process without a word to anybody. */
  die(): void {
    this.#state = "dead";
    this.#onThaw.clear();
  }

  /** Calls back once, at the next {@link thaw}; the same callback is kept once. */
  onThaw(callback: () => void): void {
    this.#onThaw.add(callback);
  }
}
