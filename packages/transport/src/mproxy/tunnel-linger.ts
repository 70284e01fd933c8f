import { TransportError, type Clock, type Millis, type Timer } from "@culvert/runtime";
import type { TunnelStream } from "./tunnel-stream.ts";

/** Ends connections that were half-closed where there is no half-close, and on which then nothing happens any more. */
export class TunnelLinger {
  readonly #clock: Clock;
  readonly #limit: Millis;
  readonly #watched = new WeakSet<TunnelStream>();

  constructor(clock: Clock, limit: Millis) {
    this.#clock = clock;
    this.#limit = limit;
  }

  /** Destroys the stream once it has made no progress for the limit. Watching twice does nothing. */
  watch(stream: TunnelStream): void {
    if (stream.destroyed || this.#watched.has(stream)) return;
    this.#watched.add(stream);
    let timer: Timer | undefined;
    let seen = -1;
    const check = (): void => {
      if (stream.progress === seen) {
        const text = "the connection was half-closed, and then nothing happened";
        stream.destroy(new TransportError("timeout", text));
        return;
      }
      seen = stream.progress;
      timer = this.#clock.setTimer(this.#limit, check, { unref: true });
    };
    check();
    stream.once("close", () => timer?.cancel());
  }
}
