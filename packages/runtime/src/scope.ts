/** Owns resources and releases them once, in reverse order of their adding. */
export class Scope {
  #cleanups: (() => void | Promise<void>)[] = [];
  #closing: Promise<void> | undefined;

  /** Whether {@link close} was called. */
  get closed(): boolean {
    return this.#closing !== undefined;
  }

  /** Hands a resource over. In a closed scope it is released at once. Returns a function that takes it back unreleased. */
  add(cleanup: () => void | Promise<void>): () => void {
    if (this.#closing !== undefined) {
      void Promise.resolve(cleanup()).catch(() => undefined);
      return () => undefined;
    }
    this.#cleanups.push(cleanup);
    return () => {
      this.#cleanups = this.#cleanups.filter((other) => other !== cleanup);
    };
  }

  /**
   * Releases everything. Every cleanup runs even where another fails.
   * @throws AggregateError with all failures, after the last cleanup.
   */
  close(): Promise<void> {
    this.#closing ??= this.#release();
    return this.#closing;
  }

  async #release(): Promise<void> {
    const failures: unknown[] = [];
    for (const cleanup of this.#cleanups.reverse()) {
      try {
        await cleanup();
      } catch (error) {
        failures.push(error);
      }
    }
    this.#cleanups = [];
    if (failures.length > 0) throw new AggregateError(failures, "cleanup failed");
  }
}
