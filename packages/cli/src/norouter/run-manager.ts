import { isatty } from "node:tty";
import { fileURLToPath } from "node:url";
import { Manager, formatProblem, type ManagerOptions } from "@culvert/norouter";
import {
  ConfigError,
  errorText,
  millis,
  parseMillis,
  type Millis,
  Scope,
  systemClock,
  systemRandom,
  withDeadline,
} from "@culvert/runtime";
import {
  AdminServer,
  createLog,
  createRegistry,
  StatusServer,
  type Log,
  type LogFormat,
} from "@culvert/telemetry";
import { FaultGuard } from "../daemon/fault-guard.ts";
import { StopSignals, type SignalSource } from "../daemon/stop-signals.ts";
import { endProcessAfter } from "../end-process.ts";
import { ExitCode } from "../exit-code.ts";
import type { OptionValues } from "../flag-options.ts";
import { software } from "../version.ts";
import {
  defaultSocket,
  isReadableAgain,
  readManifest,
  readManifestAgain,
  watchFile,
} from "./manifest-file.ts";
import { openEditor } from "./open-editor.ts";

/**
 * Runs the manager of a manifest in this process and ends the process.
 * @throws ConfigError before anything is started.
 */
export async function runNorouterManager(
  manifest: string | undefined,
  options: OptionValues,
): Promise<void> {
  const file =
    options["openEditor"] === true
      ? await openEditor(manifest, { env: process.env, isTerminal: process.stdout.isTTY })
      : manifest;
  if (file === undefined) {
    if (options["openEditor"] === true) {
      process.stderr.write("culvert: the example was left as it was, so nothing is started\n");
      return;
    }
    throw new ConfigError("bad_usage", "no manifest; culvert norouter show-example prints one");
  }
  const run = new ManagerRun(file, options);
  await endProcessAfter(() => run.untilEnd());
}

/** One manager and what belongs to its process. */
class ManagerRun {
  readonly #file: string;
  readonly #options: OptionValues;
  readonly #log: Log;
  readonly #scope = new Scope();
  #text = "";

  constructor(file: string, options: OptionValues) {
    this.#file = file;
    this.#options = options;
    this.#log = createLog({
      level: options["debug"] === true ? "debug" : "info",
      format: options["logFormat"] as LogFormat,
      destination: process.stderr,
    });
  }

  async untilEnd(): Promise<ExitCode> {
    const { text, manifest, warnings } = readManifest(this.#file);
    this.#text = text;
    const log = this.#log;
    for (const warning of warnings) this.#warn(formatProblem(warning));
    const registry = createRegistry();
    const deps = { clock: systemClock, random: systemRandom, log, registry };
    const manager = new Manager(deps, manifest, this.#managerOptions());
    const signals = new StopSignals(
      signalSource(() => void this.#reload(manager)),
      (signal) => {
        log.warn("daemon.stopped", { signal, atOnce: true });
        process.exit(ExitCode.Failure);
      },
    );
    const end = (): never => process.exit(ExitCode.Failure);
    const guard = new FaultGuard({ source: process, clock: systemClock, log, registry, end });
    this.#scope.add(() => guard.release());
    this.#scope.add(() => signals.release());
    log.info("daemon.starting", { software: software(), pid: process.pid, manifest: this.#file });
    try {
      await this.#listen(manager, registry);
      this.#scope.add(() => manager.stop());
      manager.start();
      this.#watch(manager);
      void manager.allReady.then(() => {
        log.info("daemon.ready", { agents: manager.status().agents.length });
        process.stdout.write(`ready norouter ${manager.status().agents.length} agents\n`);
      });
      const signal = await Promise.race([signals.first, manager.allGone]);
      log.info("daemon.draining", { signal: signal ?? "all agents have ended" });
      return signal === undefined ? ExitCode.Failure : ExitCode.Ok;
    } finally {
      await this.#close();
      log.info("daemon.stopped");
    }
  }

  #managerOptions(): ManagerOptions {
    const program = fileURLToPath(new URL("../../bin/culvert.js", import.meta.url));
    const self = [process.execPath, ...process.execArgv, program, "norouter"];
    const terminal = process.stdin.isTTY && process.stderr.isTTY;
    const silenceLimit = parseLimit(this.#options["silenceLimit"]);
    return { self, restart: this.#options["restart"] !== false, terminal, silenceLimit };
  }

  async #listen(manager: Manager, registry: ReturnType<typeof createRegistry>): Promise<void> {
    const log = this.#log;
    const startedAt = systemClock.now();
    const server = new StatusServer(
      {
        log,
        status: () => ({
          ...manager.status(),
          process: {
            pid: process.pid,
            software: software(),
            manifest: this.#file,
            uptimeMs: Math.round(systemClock.now() - startedAt),
          },
        }),
      },
      this.#socket(),
    );
    try {
      await server.listen();
      this.#scope.add(() => server.close());
      log.info("status.listening", { path: this.#socket() });
    } catch (error) {
      // The network works without it, and a second manager of the same manifest is the user's choice, as it is with NoRouter.
      if (this.#options["control"] !== undefined) throw error;
      this.#warn(`culvert norouter status will not work: ${errorText(error)}`);
    }
    const address = this.#options["admin"] as string | undefined;
    if (address === undefined) return;
    const notReady = (): readonly string[] => manager.notReady();
    const admin = new AdminServer({ log, registry, notReady }, parseAddress(address));
    const bound = await admin.listen();
    this.#scope.add(() => admin.close());
    log.info("admin.listening", bound);
  }

  #watch(manager: Manager): void {
    if (this.#options["watch"] === false || !isReadableAgain(this.#file)) return;
    const failed = (error: unknown): void => {
      this.#warn(`changes of the manifest are not followed: ${errorText(error)}`);
    };
    try {
      this.#scope.add(
        watchFile(this.#file, systemClock, () => void this.#reload(manager, true), failed),
      );
    } catch (error) {
      failed(error);
    }
  }

  /** Takes the manifest as it is now; one that is wrong changes nothing. */
  async #reload(manager: Manager, onlyChanged = false): Promise<void> {
    try {
      const { text, manifest, warnings } = readManifestAgain(this.#file);
      if (onlyChanged && text === this.#text) return;
      this.#text = text;
      for (const warning of warnings) this.#warn(formatProblem(warning));
      this.#log.info("norouter.manifest.reloaded", { ...(await manager.reload(manifest)) });
    } catch (error) {
      this.#log.error("norouter.manifest.refused", { error, text: "the manifest before it stays" });
    }
  }

  #socket(): string {
    return (this.#options["control"] as string | undefined) ?? defaultSocket(this.#file);
  }

  #warn(warning: string): void {
    this.#log.warn("norouter.manifest.warning", { warning });
  }

  async #close(): Promise<void> {
    const options = { clock: systemClock, limit: closeTimeout, what: "closing" };
    try {
      await withDeadline(options, () => this.#scope.close());
    } catch (error) {
      this.#log.error("daemon.fault", { error, doing: "closing" });
    }
  }
}

/** SIGHUP asks to read the manifest again, unless it comes of a terminal that has closed: then it ends the manager. */
function signalSource(reload: () => void): SignalSource {
  const terminals = [0, 1, 2].filter((fd) => isatty(fd));
  const isClosed = (): boolean => terminals.length > 0 && !terminals.some((fd) => isatty(fd));
  let onHangUp: NodeJS.SignalsListener = reload;
  return {
    on: (event, listener) => {
      if (event !== "SIGHUP") return process.on(event, listener);
      onHangUp = (signal) => (isClosed() ? listener(signal) : reload());
      return process.on(event, onHangUp);
    },
    off: (event, listener) => process.off(event, event === "SIGHUP" ? onHangUp : listener),
  };
}

function parseLimit(text: unknown): Millis {
  try {
    return parseMillis(typeof text === "string" ? text : "60s");
  } catch (error) {
    throw new ConfigError("bad_duration", `--silence-limit: ${errorText(error)}`, { cause: error });
  }
}

function parseAddress(text: string): { readonly host: string; readonly port: number } {
  const match = /^(.*):(\d{1,5})$/.exec(text);
  const port = Number(match?.[2]);
  if (match === null || port > 65_535) {
    throw new ConfigError("bad_address", `--admin ${text} must be host:port`);
  }
  return { host: match[1] ?? "", port };
}

/** More than agents get to end. */
const closeTimeout = millis(5_000);
