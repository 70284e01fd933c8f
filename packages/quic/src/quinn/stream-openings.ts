import {
  LimitError,
  type Clock,
  type Millis,
  type Timer,
  type TransportError,
} from "@culvert/runtime";

/** What {@link StreamOpenings} works with. */
export interface StreamOpeningsDeps<S> {
  readonly clock: Clock;
  /** Opens a stream; stays pending where the peer allows no more, and cannot be cancelled. */
  readonly openNative: () => Promise<S>;
}

/** How long and how many callers may wait. */
export interface StreamOpeningsOptions {
  readonly patience: Millis;
  readonly maxWaiting: number;
}

/**
 * Opens streams with an end to the waiting. An opening that nobody waits for any more serves the next caller, so that there are
 * never more pending ones than there were callers at a time, and no stream is opened for nothing.
 */
export class StreamOpenings<S> {
  readonly #deps: StreamOpeningsDeps<S>;
  readonly #options: StreamOpeningsOptions;
  readonly #waiting = new Set<Waiter<S>>();
  readonly #spare: S[] = [];
  #pending = 0;
  #ended: TransportError | undefined;

  constructor(deps: StreamOpeningsDeps<S>, options: StreamOpeningsOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /**
   * A fresh stream, owned by the caller.
   * @throws LimitError `too_many_streams` if the peer grants none in time, or too many callers wait; what {@link end} was given.
   */
  take(): Promise<S> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    const spare = this.#spare.pop();
    if (spare !== undefined) return Promise.resolve(spare);
    if (this.#waiting.size >= this.#options.maxWaiting) return Promise.reject(tooManyStreams());
    return new Promise((resolve, reject) => {
      const timer = this.#deps.clock.setTimer(this.#options.patience, () => {
        this.#waiting.delete(waiter);
        reject(tooManyStreams());
      });
      const waiter: Waiter<S> = { resolve, reject, timer };
      this.#waiting.add(waiter);
      if (this.#pending < this.#waiting.size) this.#openOne();
    });
  }

  /** Ends the waiting of all callers, with `error`, and refuses new ones. */
  end(error: TransportError): void {
    this.#ended = error;
    this.#spare.length = 0;
    for (const waiter of this.#waiting) {
      waiter.timer.cancel();
      waiter.reject(error);
    }
    this.#waiting.clear();
  }

  #openOne(): void {
    this.#pending += 1;
    this.#deps.openNative().then(
      (stream) => {
        this.#pending -= 1;
        const [waiter] = this.#waiting;
        if (waiter === undefined) {
          if (this.#ended === undefined) this.#spare.push(stream);
          return;
        }
        this.#waiting.delete(waiter);
        waiter.timer.cancel();
        waiter.resolve(stream);
      },
      // The connection is over, and its end is told to the waiting by `end`.
      () => (this.#pending -= 1),
    );
  }
}

interface Waiter<S> {
  readonly resolve: (stream: S) => void;
  readonly reject: (error: Error) => void;
  readonly timer: Timer;
}

function tooManyStreams(): LimitError {
  return new LimitError("too_many_streams", "the peer allows no more streams now", {
    data: { name: "maxStreams" },
  });
}
