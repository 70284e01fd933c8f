import { formatMillis, millis, type Clock, type Millis, type Timer } from "@culvert/runtime";

/** What a {@link Liveness} watches, and whom it tells. */
export interface LivenessDeps {
  readonly clock: Clock;
  /** Sends what every agent answers. */
  readonly probe: () => void;
  /** Whether anything waits for the agent, and how much it has taken so far, in any unit. */
  readonly egress: () => { readonly isWaiting: boolean; readonly taken: number };
  /** It answers nothing, or takes nothing, for this reason; told once, until it speaks again. */
  readonly onStuck: (reason: string) => void;
  /** It speaks again, after that. */
  readonly onAnswer: () => void;
}

/**
 * Notices that an agent does nothing though its command runs: it is stopped, hangs, or the line to it is dead. Whatever it sends is a sign
 * of life; one that sends nothing is asked, three times before it is given up. One that speaks but does not read is given up later: on a
 * slow line much may wait for long.
 */
export class Liveness {
  readonly #deps: LivenessDeps;
  readonly #limit: Millis;
  #timer: Timer | undefined;
  #hasSpoken = false;
  #silentTurns = 0;
  #unreadTurns = 0;
  #taken = 0;
  #isStuck = false;

  /** @param limit - how long an agent may be silent; 0 where it is never asked. */
  constructor(deps: LivenessDeps, limit: Millis) {
    this.#deps = deps;
    this.#limit = limit;
  }

  /** Watches from now on, until {@link stop}. */
  start(): void {
    this.stop();
    this.#hasSpoken = this.#isStuck = false;
    this.#silentTurns = this.#unreadTurns = 0;
    this.#arm();
  }

  /** Watches no longer. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** Something came from the agent. */
  heard(): void {
    this.#hasSpoken = true;
    if (!this.#isStuck || this.#timer === undefined) return;
    this.#isStuck = false;
    this.#silentTurns = this.#unreadTurns = 0;
    this.#deps.onAnswer();
  }

  #arm(): void {
    if (this.#limit === 0) return;
    const turn = millis(this.#limit / silentTurnsAllowed);
    this.#timer = this.#deps.clock.setTimer(turn, () => this.#turn(), { unref: true });
  }

  /** Turns are counted, not time: a manager that was stopped itself has not listened. */
  #turn(): void {
    const { isWaiting, taken } = this.#deps.egress();
    this.#silentTurns = this.#hasSpoken ? 0 : this.#silentTurns + 1;
    this.#unreadTurns = isWaiting && taken === this.#taken ? this.#unreadTurns + 1 : 0;
    this.#hasSpoken = false;
    this.#taken = taken;
    this.#arm();
    const reason = this.#stuckReason();
    if (reason !== undefined && !this.#isStuck) {
      this.#isStuck = true;
      this.#deps.onStuck(reason);
    } else if (this.#silentTurns > 0) this.#deps.probe();
  }

  #stuckReason(): string | undefined {
    if (this.#silentTurns >= silentTurnsAllowed) {
      return `its command runs, but it has answered nothing for ${formatMillis(this.#limit)}`;
    }
    if (this.#unreadTurns < unreadTurnsAllowed) return undefined;
    const waited = millis((this.#limit / silentTurnsAllowed) * unreadTurnsAllowed);
    return `its command runs, but it has read nothing of what waits for it for ${formatMillis(waited)}`;
  }
}

const silentTurnsAllowed = 4;
const unreadTurnsAllowed = 20;
