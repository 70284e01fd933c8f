import { configWarnings, worstCaseMemory, type DaemonConfig } from "@culvert/config";
import type { Identity } from "@culvert/identity";
import {
  formatByteSize,
  millis,
  Scope,
  withDeadline,
  type Clock,
  type Random,
} from "@culvert/runtime";
import { AdminServer, createRegistry, StatusServer, type Log } from "@culvert/telemetry";
import { ExitCode } from "../exit-code.ts";
import type { Daemon, DaemonContext, GivenSession } from "./daemon.ts";
import { FaultGuard, type FaultSource } from "./fault-guard.ts";
import { StopSignals, type SignalSource } from "./stop-signals.ts";

/** The process that a daemon runs in. */
export type HostProcess = SignalSource &
  FaultSource & {
    readonly pid: number;
    readonly stdout: { write(text: string): unknown };
    /** Ends at once. */
    exit(code: ExitCode): void;
  };

/** What {@link runDaemon} works with. */
export interface RunDaemonDeps {
  readonly host: HostProcess;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly identity: Identity;
  /** Name and version: `culvert/0.1.0`. */
  readonly software: string;
  /** Where the session to the relay comes from, if not from a dial. */
  readonly givenSession?: GivenSession | undefined;
}

/**
 * Runs a daemon from its start to its end: status socket and admin server, the one ready line, the drain at the first signal, an
 * immediate end at the second.
 * @returns the exit code after an orderly end.
 * @throws whatever kept it from starting.
 */
export async function runDaemon(
  config: DaemonConfig,
  deps: RunDaemonDeps,
  build: (context: DaemonContext) => Daemon,
): Promise<ExitCode> {
  const { host, clock, random, log, identity, software, givenSession } = deps;
  const scope = new Scope();
  const registry = createRegistry();
  const startedAt = clock.now();
  let stopping = false;
  const signals = new StopSignals(host, (signal) => {
    log.warn("daemon.stopped", { signal, atOnce: true });
    host.exit(ExitCode.Failure);
  });
  scope.add(() => signals.release());
  const guard = new FaultGuard({
    source: host,
    clock,
    log,
    registry,
    end: () => host.exit(ExitCode.Failure),
  });
  scope.add(() => guard.release());
  logStart(config, deps);
  try {
    const daemon = build({ clock, random, log, registry, identity, givenSession });
    const status = new StatusServer(
      {
        log,
        status: () => ({
          ...daemon.status(),
          process: {
            pid: host.pid,
            software,
            peerId: identity.peerId,
            configFile: config.file,
            uptimeMs: Math.round(clock.now() - startedAt),
            notReady: daemon.notReady(),
          },
        }),
      },
      config.control.socket,
    );
    await status.listen();
    scope.add(() => status.close());
    log.info("status.listening", { path: config.control.socket });
    if (config.admin.listen !== undefined) {
      const notReady = (): readonly string[] => (stopping ? ["draining"] : daemon.notReady());
      const admin = new AdminServer({ log, registry, notReady }, config.admin.listen);
      const { host: address, port } = await admin.listen();
      scope.add(() => admin.close());
      log.info("admin.listening", { host: address, port });
    }
    scope.add(() => daemon.close());
    await daemon.start();
    const served = { already: false };
    void daemon.ready.then((text) => {
      if (stopping) return;
      served.already = true;
      log.info("daemon.ready", { ready: text });
      host.stdout.write(`ready ${text}\n`);
    });
    const signal = await Promise.race([signals.first, givenSession?.over ?? never]);
    stopping = true;
    if (signal === undefined) {
      const clean = await end(scope, clock, log);
      log.info("daemon.stopped", { uptimeMs: Math.round(clock.now() - startedAt) });
      return clean && served.already ? ExitCode.Ok : ExitCode.Failure;
    }
    log.info("daemon.draining", { signal });
    await daemon.drain();
  } catch (error) {
    await end(scope, clock, log);
    throw error;
  }
  const clean = await end(scope, clock, log);
  log.info("daemon.stopped", { uptimeMs: Math.round(clock.now() - startedAt) });
  return clean ? ExitCode.Ok : ExitCode.Failure;
}

/** Releases everything, but waits no longer than is decent. */
async function end(scope: Scope, clock: Clock, log: Log): Promise<boolean> {
  try {
    await withDeadline({ clock, limit: closeTimeout, what: "closing" }, () => scope.close());
    return true;
  } catch (error) {
    log.error("daemon.fault", { error, doing: "closing" });
    return false;
  }
}

function logStart(config: DaemonConfig, deps: RunDaemonDeps): void {
  const { log, host, identity, software } = deps;
  log.info("daemon.starting", {
    software,
    node: process.version,
    pid: host.pid,
    peerId: identity.peerId,
    config: config.file,
  });
  const memory = worstCaseMemory(config);
  log.info("config.effective", {
    config: config.effective,
    worstCaseMemory: formatByteSize(memory.totalBytes),
    memory: Object.fromEntries(memory.items.map(({ what, because }) => [what, because])),
  });
  for (const warning of configWarnings(config)) log.warn("config.warning", { warning });
}

const never = new Promise<void>(() => undefined);
const closeTimeout = millis(5_000);
