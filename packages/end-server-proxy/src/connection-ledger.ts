import type { Clock, Millis, SpliceProgress, SpliceResult } from "@culvert/runtime";
import type { Log } from "@culvert/telemetry";
import type { EndServerMetrics } from "./metrics.ts";

/** One forwarded connection as the end server sees it: its three identifiers, and what passed. */
export interface LiveConnection {
  readonly trace: string;
  /** Name of the client; `public` where it comes from the internet. */
  readonly client: string;
  /** Peer id of the client; the internet address of a public one. */
  readonly clientId: string;
  readonly clientPort: number;
  readonly target: string;
  readonly openedAt: Millis;
  /** leftToRight = from the client to the target. */
  readonly progress: SpliceProgress;
}

/** What the ledger works with. */
export interface LedgerDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: EndServerMetrics;
}

/** Keeps account of open connections: the list for status, the counters, a log line at each end. */
export class ConnectionLedger {
  readonly #deps: LedgerDeps;
  readonly #live = new Set<LiveConnection>();

  constructor(deps: LedgerDeps) {
    this.#deps = deps;
  }

  /** Connections open now, oldest first. */
  get live(): Iterable<LiveConnection> {
    return this.#live;
  }

  /** Keeps a connection on the books while `run`, which counts into its progress, carries it. */
  async carry(
    who: Omit<LiveConnection, "openedAt" | "progress">,
    run: (progress: SpliceProgress) => Promise<SpliceResult>,
  ): Promise<SpliceResult> {
    const { clock, log, metrics } = this.#deps;
    const progress = { leftToRightBytes: 0, rightToLeftBytes: 0 };
    const connection: LiveConnection = { ...who, openedAt: clock.now(), progress };
    this.#live.add(connection);
    // Not set to a number, since a process may keep several books.
    metrics.connections.inc();
    metrics.connectionsOpened.inc();
    const { client, clientPort, target, trace } = who;
    const remote = client === "public" ? { remote: who.clientId } : {};
    const lines = log.child({ client, ...remote, clientPort, target, trace });
    lines.info("server.connection.opened");
    const result = await run(progress);
    this.#live.delete(connection);
    metrics.connections.dec();
    metrics.bytes.inc({ direction: "to_target" }, result.leftToRightBytes);
    metrics.bytes.inc({ direction: "from_target" }, result.rightToLeftBytes);
    lines.info("server.connection.closed", {
      bytesUp: result.leftToRightBytes,
      bytesDown: result.rightToLeftBytes,
      durationMs: Math.round(clock.now() - connection.openedAt),
      cause: result.failure === undefined ? "finished" : causes[result.failure.side],
      ...(result.failure === undefined ? {} : { reason: result.failure.error.message }),
    });
    return result;
  }
}

const causes = { left: "relay", right: "target" } as const;
