import { sleep, type Clock } from "./clock.ts";
import { millis, type Millis } from "./duration.ts";

/** A process that leads a group, and what it has started; POSIX only (kill(2) with a negative id). */
export class ProcessGroup {
  readonly #clock: Clock;
  readonly #leader: number;

  /** `leader` is the process id of its leader, which may be over. */
  constructor(clock: Clock, leader: number) {
    this.#clock = clock;
    this.#leader = leader;
  }

  /** Sends a signal to all of it; 0 asks only. Returns whether there was anybody, and whom we may send one. */
  signal(signal: NodeJS.Signals | 0): boolean {
    try {
      process.kill(-this.#leader, signal);
      return true;
    } catch {
      // Nobody of the group is left, or it is another user's now.
      return false;
    }
  }

  /** Ends what the leader has left behind: by SIGTERM, and what stays longer than `limit` by SIGKILL. Never rejects. */
  async end(limit: Millis): Promise<void> {
    if (!this.signal("SIGTERM")) return;
    const endMs = this.#clock.now() + limit;
    while (this.#clock.now() < endMs) {
      await sleep(this.#clock, pollInterval);
      if (!this.signal(0)) return;
    }
    this.signal("SIGKILL");
  }
}

/** Nobody tells us of processes that are not our own children. */
const pollInterval = millis(20);
