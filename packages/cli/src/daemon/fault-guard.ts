import { CulvertError, InternalError, millis, systemCode, type Clock } from "@culvert/runtime";
import { Counter, rateLimited, type Log, type Registry } from "@culvert/telemetry";

/** The part of a process that tells of exceptions nobody caught. */
export interface FaultSource {
  on(
    event: "uncaughtException" | "unhandledRejection",
    listener: (error: unknown) => void,
  ): unknown;
  off(
    event: "uncaughtException" | "unhandledRejection",
    listener: (error: unknown) => void,
  ): unknown;
}

/** What a {@link FaultGuard} works with. */
export interface FaultGuardDeps {
  readonly source: FaultSource;
  readonly clock: Clock;
  readonly log: Log;
  readonly registry: Registry;
  /** Ends the process after a defect of ours. */
  readonly end: () => void;
}

/**
 * Decides what becomes of an exception that nobody caught. What a network or a peer caused (an error of the system such as ECONNRESET,
 * or one of ours that is no defect) belongs to one connection whose owner looked away: it is logged and counted, and the process
 * goes on, since no peer may end it. Anything else is a defect: what state it left is unknown, so it is logged and the process
 * ends with 1, for its supervisor to start it afresh.
 */
export class FaultGuard {
  readonly #deps: FaultGuardDeps;
  readonly #listener: (error: unknown) => void;

  constructor(deps: FaultGuardDeps) {
    this.#deps = deps;
    const log = rateLimited(deps.log, deps.clock, { burst: 10, interval: millis(10_000) });
    const survived = new Counter({
      name: "culvert_faults_survived_total",
      help: "Errors of one connection that nobody handled and that the process outlived.",
      registers: [deps.registry],
    });
    this.#listener = (error) => {
      if (isDefect(error)) {
        deps.log.error("daemon.failed", { error });
        deps.end();
        return;
      }
      survived.inc();
      log.error("daemon.fault", { error });
    };
    deps.source.on("uncaughtException", this.#listener);
    deps.source.on("unhandledRejection", this.#listener);
  }

  /** Stops listening. */
  release(): void {
    this.#deps.source.off("uncaughtException", this.#listener);
    this.#deps.source.off("unhandledRejection", this.#listener);
  }
}

/** Whether an error shows that our own code is wrong, rather than that a peer, a network or a limit got in its way. */
export function isDefect(error: unknown): boolean {
  if (error instanceof CulvertError) return error instanceof InternalError;
  // Node's own complaints about wrong use have codes too, ERR_…; those of the system are E and capitals.
  return !/^E(?!RR_)[A-Z0-9_]+$/.test(systemCode(error) ?? "");
}
