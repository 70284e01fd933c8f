import type { Clock } from "@culvert/runtime";
import type { GuardedConnection } from "./guarded-connection.ts";
import type { SendWindow } from "./send-window.ts";

/** What a {@link LossWatch} needs. */
export interface LossWatchDeps {
  readonly clock: Clock;
  readonly link: GuardedConnection;
  /** Is told whether the path loses datagrams. */
  readonly window: SendWindow;
}

/** Notices what quiche newly holds for lost. */
export class LossWatch {
  readonly #deps: LossWatchDeps;
  /** Datagrams that quiche was last known to hold for lost. */
  #lost = 0;
  #lostMs = 0;

  constructor(deps: LossWatchDeps) {
    this.#deps = deps;
  }

  /** Whether more is known to be lost than when this was last asked. */
  hasGrown(): boolean {
    const { clock, link, window } = this.#deps;
    const nowMs = clock.now();
    const lost = link.stats()?.lost ?? this.#lost;
    if (lost === this.#lost) {
      if (nowMs - this.#lostMs > calmAfterMs) window.calm();
      return false;
    }
    this.#lost = lost;
    this.#lostMs = nowMs;
    window.lossy();
    return true;
  }
}

/** A path that has lost nothing for so long is taken for one that loses nothing. */
const calmAfterMs = 30_000;
