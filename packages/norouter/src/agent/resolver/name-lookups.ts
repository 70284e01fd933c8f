import { LimitError, TransportError } from "@culvert/runtime";
import { agentDefaults } from "../agent-defaults.ts";

/**
 * Looks names up at the system: once for all who ask for a name at the same time, and a bounded number of names at once, since each takes
 * a thread of few for as long as a silent server makes it wait.
 */
export class NameLookups {
  readonly #lookup: (name: string) => Promise<readonly string[]>;
  readonly #running = new Map<string, Promise<readonly string[]>>();

  /** @param lookup - all addresses the system has for a name; rejects where it has none. */
  constructor(lookup: (name: string) => Promise<readonly string[]>) {
    this.#lookup = lookup;
  }

  /**
   * All addresses the system has for a name.
   * @throws as the look-up; LimitError `queue_full` where too many are under way; TransportError `aborted`.
   */
  async find(name: string, signal?: AbortSignal): Promise<readonly string[]> {
    const running = this.#running.get(name) ?? this.#start(name);
    return signal === undefined ? running : unlessAborted(running, signal);
  }

  #start(name: string): Promise<readonly string[]> {
    const max = agentDefaults.maxLookups;
    if (this.#running.size >= max) {
      throw new LimitError("queue_full", `${max} names are being looked up`, { data: { max } });
    }
    const started = this.#lookup(name).finally(() => this.#running.delete(name));
    // Whoever asked may be gone.
    started.catch(() => undefined);
    this.#running.set(name, started);
    return started;
  }
}

function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      reject(new TransportError("aborted", "nobody waits for it", { cause: signal.reason }));
    };
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}
