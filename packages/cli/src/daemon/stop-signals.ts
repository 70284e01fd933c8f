/** The part of a process that tells of signals. */
export interface SignalSource {
  on(event: NodeJS.Signals, listener: (signal: NodeJS.Signals) => void): unknown;
  off(event: NodeJS.Signals, listener: (signal: NodeJS.Signals) => void): unknown;
}

/**
 * Waits for the signals that end a daemon. The first asks it to drain, a second to end at once. SIGHUP comes when the terminal
 * closes and means the same; no configuration is read again. SIGBREAK is Ctrl-Break on Windows.
 */
export class StopSignals {
  /** Resolves with the first signal. */
  readonly first: Promise<NodeJS.Signals>;
  readonly #source: SignalSource;
  readonly #listener: (signal: NodeJS.Signals) => void;
  readonly #signals: readonly NodeJS.Signals[];

  constructor(
    source: SignalSource,
    onSecond: (signal: NodeJS.Signals) => void,
    platform: NodeJS.Platform = process.platform,
  ) {
    this.#source = source;
    this.#signals = ["SIGTERM", "SIGINT", platform === "win32" ? "SIGBREAK" : "SIGHUP"];
    let resolveFirst: (signal: NodeJS.Signals) => void;
    this.first = new Promise((resolve) => (resolveFirst = resolve));
    let seen = false;
    this.#listener = (signal) => {
      if (seen) onSecond(signal);
      else resolveFirst(signal);
      seen = true;
    };
    for (const signal of this.#signals) source.on(signal, this.#listener);
  }

  /** Stops listening; signals do again what the system does with them. */
  release(): void {
    for (const signal of this.#signals) this.#source.off(signal, this.#listener);
  }
}
