/** Watches the process for what no peer may ever cause. */
export interface CrashWatch {
  /** Unhandled rejections and uncaught exceptions since the last call. */
  take(): unknown[];
  /** Takes the listeners away again. */
  stop(): void;
}

/** Records unhandled rejections and uncaught exceptions until stopped. */
export function watchForCrashes(): CrashWatch {
  let seen: unknown[] = [];
  const note = (reason: unknown): void => void seen.push(reason);
  process.on("unhandledRejection", note);
  process.on("uncaughtException", note);
  return {
    take() {
      const taken = seen;
      seen = [];
      return taken;
    },
    stop() {
      process.off("unhandledRejection", note);
      process.off("uncaughtException", note);
    },
  };
}
