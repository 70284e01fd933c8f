import { InternalError, LimitError } from "./errors.ts";

/**
 * A queue with one consumer and a bound. The producer learns of a full queue at once ({@link push} returns false) and must
 * drop or refuse; nothing waits unseen.
 */
export class BoundedQueue<T> implements AsyncIterable<T> {
  readonly #limit: number;
  readonly #items: T[] = [];
  #waiting: ((result: IteratorResult<T, undefined>) => void) | undefined;
  #ended = false;

  constructor(limit: number) {
    if (!(limit >= 1)) throw new LimitError("queue_full", `a queue of ${limit} holds nothing`);
    this.#limit = limit;
  }

  /** Items waiting to be taken. */
  get length(): number {
    return this.#items.length;
  }

  /** Adds an item. Returns false, and keeps nothing, if the queue is full or has ended. */
  push(item: T): boolean {
    if (this.#ended) return false;
    if (this.#waiting !== undefined) {
      const resolve = this.#waiting;
      this.#waiting = undefined;
      resolve({ value: item, done: false });
      return true;
    }
    if (this.#items.length >= this.#limit) return false;
    this.#items.push(item);
    return true;
  }

  /** Ends the queue: what is in it may still be taken. Returns nothing; ending twice does nothing. */
  end(): void {
    this.#ended = true;
    this.#waiting?.({ value: undefined, done: true });
    this.#waiting = undefined;
  }

  /** Ends the queue and gives back what nobody took, for its owner to release. */
  drain(): T[] {
    this.end();
    return this.#items.splice(0);
  }

  [Symbol.asyncIterator](): AsyncIterator<T, undefined> {
    return {
      next: () => {
        const item = this.#items.shift();
        if (item !== undefined) return Promise.resolve({ value: item, done: false });
        if (this.#ended) return Promise.resolve({ value: undefined, done: true });
        if (this.#waiting !== undefined) {
          throw new InternalError("invariant", "a BoundedQueue has one consumer");
        }
        return new Promise((resolve) => (this.#waiting = resolve));
      },
    };
  }
}
