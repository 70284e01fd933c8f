import { millis, type Clock, type Millis } from "@culvert/runtime";
import type { MemoryFrame } from "./memory-frame.ts";
import type { MemoryHost } from "./memory-host.ts";

/**
 * One direction of a link: frames arrive in order, `latency` later and never within the call that sent them. Frames of a frozen
 * host, or for one, wait; those of a dead host are lost. What waits is bounded by the flow-control windows of the connection.
 */
export class MemoryPipe {
  /** Who gets the frames; frames that arrive before it is set are lost. */
  receiver: ((frame: MemoryFrame) => void) | undefined;
  /** Told when the path fails. */
  onFailure: (() => void) | undefined;
  readonly #clock: Clock;
  readonly #from: MemoryHost;
  readonly #to: MemoryHost;
  readonly #latency: Millis;
  #queue: { readonly frame: MemoryFrame; readonly dueMs: number }[] = [];
  #scheduled = false;

  constructor(clock: Clock, from: MemoryHost, to: MemoryHost, latency: Millis) {
    this.#clock = clock;
    this.#from = from;
    this.#to = to;
    this.#latency = latency;
  }

  /** One way travel time. */
  get latency(): Millis {
    return this.#latency;
  }

  /** Puts a frame on its way. */
  send(frame: MemoryFrame): void {
    if (this.#from.dead || this.#to.dead) return;
    this.#queue.push({ frame, dueMs: this.#clock.now() + this.#latency });
    this.#schedule();
  }

  /** Fails the path: what is under way is lost, and the receiving end is told. */
  fail(): void {
    this.#queue = [];
    this.receiver = undefined;
    this.onFailure?.();
  }

  #schedule(): void {
    const head = this.#queue[0];
    if (head === undefined || this.#scheduled) return;
    this.#scheduled = true;
    const waitMs = head.dueMs - this.#clock.now();
    if (waitMs <= 0) setImmediate(this.#wake);
    else this.#clock.setTimer(millis(waitMs), this.#wake);
  }

  readonly #wake = (): void => {
    this.#scheduled = false;
    if (this.#from.frozen) {
      this.#from.deliverAtThaw(this.#wake);
      return;
    }
    if (this.#to.frozen) {
      this.#to.deliverAtThaw(this.#wake);
      return;
    }
    const now = this.#clock.now();
    const notDue = this.#queue.findIndex(({ dueMs }) => dueMs > now);
    const due = this.#queue.splice(0, notDue === -1 ? this.#queue.length : notDue);
    for (const { frame } of due) this.receiver?.(frame);
    this.#schedule();
  };
}
