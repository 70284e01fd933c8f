import { fstatSync } from "node:fs";
import { Socket } from "node:net";
import type { Readable, Writable } from "node:stream";
import { parseNetwork, runAgent, systemMachine, type BastionMode } from "@culvert/norouter";
import { ConfigError, systemClock, systemRandom } from "@culvert/runtime";
import { createLog, createRegistry, type LogFormat } from "@culvert/telemetry";
import { FaultGuard } from "../daemon/fault-guard.ts";
import { endProcessAfter } from "../end-process.ts";
import { ExitCode } from "../exit-code.ts";
import type { OptionValues } from "../flag-options.ts";

/**
 * Runs an agent on standard input and output and ends the process with it. A manager starts it; everything for people goes to standard
 * error, which is the manager's log.
 * @throws ConfigError before anything is started.
 */
export async function runNorouterAgent(options: OptionValues): Promise<void> {
  const initConfig = options["debugInitConfig"] as string | undefined;
  if (options["automated"] !== true && initConfig === undefined) {
    throw new ConfigError(
      "bad_usage",
      "do not launch an agent by hand: a manager does, see culvert norouter --help",
    );
  }
  const bastion = {
    mode: (options["bastion"] as BastionMode | undefined) ?? "routes",
    allow: (options["bastionAllow"] ?? []) as readonly string[],
  };
  for (const network of bastion.allow) {
    if (parseNetwork(network) !== undefined) continue;
    throw new ConfigError("bad_address", `--bastion-allow: ${network} is not like 10.0.0.0/8`);
  }
  const log = createLog({
    level: options["debug"] === true ? "debug" : "info",
    format: options["logFormat"] as LogFormat,
    destination: process.stderr,
  });
  const clock = systemClock;
  const machine = systemMachine({
    clock,
    random: systemRandom,
    log,
    environment: process.env,
  });
  const stop = new AbortController();
  // Ctrl-C reaches the manager and its agents alike; it is the manager's to say what that means, by closing our input.
  process.on("SIGINT", () => undefined);
  for (const signal of ["SIGTERM", "SIGHUP"] as const) process.on(signal, () => stop.abort());
  await endProcessAfter(async () => {
    const gone = new Promise<ExitCode>((resolve) => {
      const end = (): void => resolve(ExitCode.Failure);
      new FaultGuard({ source: process, clock, log, registry: createRegistry(), end });
    });
    const { input, output } = standardEnds();
    const ended = runAgent(machine, { input, output, bastion, initConfig, signal: stop.signal });
    return Promise.race([
      gone,
      ended.then((code) => (code === 0 ? ExitCode.Ok : ExitCode.Failure)),
    ]);
  });
}

/** Pipes are opened anew, so that writing to a full one holds up nothing else; `process.stdout` may. */
function standardEnds(): { readonly input: Readable; readonly output: Writable } {
  const isPipe = (fd: number): boolean => {
    const stat = fstatSync(fd);
    return stat.isFIFO() || stat.isSocket();
  };
  return {
    input: isPipe(0) ? new Socket({ fd: 0, readable: true, writable: false }) : process.stdin,
    output: isPipe(1) ? new Socket({ fd: 1, readable: false, writable: true }) : process.stdout,
  };
}
