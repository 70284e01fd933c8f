import { millis, type Clock, type Timer } from "@culvert/runtime";

/** Something that is to be woken at a time of its own, which may change. */
export interface Sleeper {
  /** Its place in the heap, kept by the heap; -1 outside of it. */
  heapIndex: number;
  /** When it is due; Infinity for never. */
  readonly dueMs: number;
  wake(nowMs: number): void;
}

/**
 * One timer of the clock for any number of sleepers: a binary heap by the time at which each was last told to be due. A sleeper whose
 * time moved to later stays where it is, and is looked at again when the old time comes, so most changes cost nothing.
 */
export class TimerHeap {
  readonly #clock: Clock;
  readonly #sleepers: Sleeper[] = [];
  /** The time each sleeper is filed under. */
  readonly #times: number[] = [];
  #timer: Timer | undefined;
  #timerAtMs = Infinity;
  #isClosed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Sleepers filed. */
  get size(): number {
    return this.#sleepers.length;
  }

  /** Takes note of a sleeper's present time. */
  update(sleeper: Sleeper): void {
    const { dueMs } = sleeper;
    if (sleeper.heapIndex === -1) {
      if (dueMs === Infinity) return;
      sleeper.heapIndex = this.#sleepers.length;
      this.#sleepers.push(sleeper);
      this.#times.push(dueMs);
      this.#rise(sleeper.heapIndex);
    } else if (dueMs < (this.#times[sleeper.heapIndex] ?? 0)) {
      this.#times[sleeper.heapIndex] = dueMs;
      this.#rise(sleeper.heapIndex);
    } else return;
    this.#arm();
  }

  /** Forgets a sleeper. */
  remove(sleeper: Sleeper): void {
    const index = sleeper.heapIndex;
    if (index === -1) return;
    sleeper.heapIndex = -1;
    const last = this.#sleepers.pop();
    const time = this.#times.pop();
    if (last === undefined || time === undefined || last === sleeper) return;
    this.#place(last, time, index);
    this.#rise(index);
    this.#sink(last.heapIndex);
  }

  /** Wakes nobody any more. */
  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#timer = undefined;
    for (const sleeper of this.#sleepers) sleeper.heapIndex = -1;
    this.#sleepers.length = 0;
    this.#times.length = 0;
  }

  readonly #fire = (): void => {
    this.#timer = undefined;
    this.#timerAtMs = Infinity;
    const nowMs = this.#clock.now();
    const due: Sleeper[] = [];
    for (;;) {
      const first = this.#sleepers[0];
      if (first === undefined || (this.#times[0] ?? Infinity) > nowMs) break;
      const { dueMs } = first;
      if (dueMs <= nowMs) {
        this.remove(first);
        due.push(first);
      } else if (dueMs === Infinity) this.remove(first);
      else {
        this.#times[0] = dueMs;
        this.#sink(0);
      }
    }
    for (const sleeper of due) {
      sleeper.wake(nowMs);
      this.update(sleeper);
    }
    this.#arm();
  };

  #arm(): void {
    const firstMs = this.#times[0] ?? Infinity;
    if (this.#isClosed || firstMs >= this.#timerAtMs) return;
    this.#timer?.cancel();
    this.#timerAtMs = firstMs;
    const delayMs = Math.max(0, firstMs - this.#clock.now());
    this.#timer = this.#clock.setTimer(millis(delayMs), this.#fire);
  }

  #rise(from: number): void {
    let index = from;
    const sleeper = this.#sleepers[index];
    const time = this.#times[index];
    if (sleeper === undefined || time === undefined) return;
    while (index > 0) {
      const parent = (index - 1) >>> 1;
      if (!this.#move(parent, index, (above) => above > time)) break;
      index = parent;
    }
    this.#place(sleeper, time, index);
  }

  #sink(from: number): void {
    let index = from;
    const sleeper = this.#sleepers[index];
    const time = this.#times[index];
    if (sleeper === undefined || time === undefined) return;
    for (;;) {
      const left = 2 * index + 1;
      const right = left + 1;
      const lesser =
        (this.#times[right] ?? Infinity) < (this.#times[left] ?? Infinity) ? right : left;
      if (!this.#move(lesser, index, (below) => below < time)) break;
      index = lesser;
    }
    this.#place(sleeper, time, index);
  }

  /** Moves the entry at `from` to `to` if its time is as wanted. */
  #move(from: number, to: number, wanted: (timeMs: number) => boolean): boolean {
    const sleeper = this.#sleepers[from];
    const time = this.#times[from];
    if (sleeper === undefined || time === undefined || !wanted(time)) return false;
    this.#place(sleeper, time, to);
    return true;
  }

  #place(sleeper: Sleeper, time: number, index: number): void {
    this.#sleepers[index] = sleeper;
    this.#times[index] = time;
    sleeper.heapIndex = index;
  }
}
