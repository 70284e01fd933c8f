import { millis, type Clock, type Timer } from "@culvert/runtime";
import type { TunnelSettings } from "./tunnel-api.ts";

/** What a {@link TunnelLiveness} causes. */
export interface LivenessHooks {
  /** Time to give or ask for a sign of life. */
  ping(): void;
  /** Nothing was heard for `silentMs`. */
  idle(silentMs: number): void;
}

/**
 * Notices a silent peer. Pings when nothing was *heard* for a while, and as well when nothing was *sent*: on a slow path the answers
 * to a sender of bulk wait behind its own bytes, and the other end's pings are what it hears meanwhile.
 */
export class TunnelLiveness {
  readonly #clock: Clock;
  readonly #settings: Pick<TunnelSettings, "keepAlive" | "idleTimeout">;
  readonly #hooks: LivenessHooks;
  #heardMs: number;
  #sentMs: number;
  #pingedMs: number;
  /** While we take nothing from the carrier, silence says nothing. */
  #deaf = false;
  #timer: Timer | undefined;

  /** Starts at once; stops with {@link stop}. */
  constructor(
    clock: Clock,
    settings: Pick<TunnelSettings, "keepAlive" | "idleTimeout">,
    hooks: LivenessHooks,
  ) {
    this.#clock = clock;
    this.#settings = settings;
    this.#hooks = hooks;
    this.#heardMs = this.#sentMs = this.#pingedMs = clock.now();
    this.#arm();
  }

  heard(): void {
    this.#heardMs = this.#clock.now();
  }

  sent(): void {
    this.#sentMs = this.#clock.now();
  }

  /** We stop, or go on, taking what the peer sends. */
  set deaf(deaf: boolean) {
    this.#deaf = deaf;
    this.heard();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #arm(): void {
    const dueMs = Math.min(this.#pingDueMs(), this.#heardMs + this.#settings.idleTimeout);
    // A step of its own at the least, so that a deaf tunnel does not spin.
    const delayMs = Math.max(minStepMs, dueMs - this.#clock.now());
    this.#timer = this.#clock.setTimer(millis(delayMs), () => this.#wake(), { unref: true });
  }

  #wake(): void {
    this.#timer = undefined;
    const nowMs = this.#clock.now();
    if (this.#deaf) this.#heardMs = nowMs;
    const silentMs = nowMs - this.#heardMs;
    if (silentMs >= this.#settings.idleTimeout) {
      this.#hooks.idle(silentMs);
      return;
    }
    this.#arm();
    if (nowMs < this.#pingDueMs()) return;
    this.#pingedMs = nowMs;
    this.#hooks.ping();
  }

  #pingDueMs(): number {
    const quietSinceMs = Math.min(this.#heardMs, this.#sentMs);
    return Math.max(quietSinceMs, this.#pingedMs) + this.#settings.keepAlive;
  }
}

const minStepMs = 5;
