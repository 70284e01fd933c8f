/** Owns resources and releases them once, in reverse order of their adding. */
export class Scope {
  readonly #resources = new Set<Resource>();
  #closing: Promise<void> | undefined;

  /** Whether {@link close} was called. */
  get closed(): boolean {
    return this.#closing !== undefined;
  }

  /**
   * Hands a resource over. In a closed scope it is released at once, and a failure of that is dropped. Returns a function that
   * takes the resource back unreleased.
   */
  add(cleanup: () => void | Promise<void>): () => void {
    const resource: Resource = { cleanup };
    if (this.#closing !== undefined) {
      void attempt(resource);
      return () => undefined;
    }
    this.#resources.add(resource);
    return () => void this.#resources.delete(resource);
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
    for (const resource of [...this.#resources].reverse()) {
      if (!this.#resources.delete(resource)) continue;
      failures.push(...(await attempt(resource)));
    }
    if (failures.length > 0) throw new AggregateError(failures, "cleanup failed");
  }
}

interface Resource {
  readonly cleanup: () => void | Promise<void>;
}

async function attempt(resource: Resource): Promise<unknown[]> {
  try {
    await resource.cleanup();
    return [];
  } catch (error) {
    return [error];
  }
}
