import { loadConfig, type Flag, type Role } from "@culvert/config";
import { loadIdentityFile } from "@culvert/identity";
import { systemClock, systemRandom } from "@culvert/runtime";
import { createLog } from "@culvert/telemetry";
import { loadBuilder } from "../compose/build-daemon.ts";
import { endProcessAfter } from "../end-process.ts";
import { software } from "../version.ts";
import { runDaemon } from "./daemon-process.ts";

/**
 * Runs the daemon of a role in this process and ends the process.
 * @throws ConfigError before anything is started.
 */
export async function runDaemonCommand(
  role: Role,
  file: string,
  flags: readonly Flag[],
): Promise<void> {
  const config = loadConfig(role, { file, env: process.env, flags });
  const identity = await loadIdentityFile(config.identity.keyFile);
  const name = config.role === "relay" ? {} : { daemon: config.name };
  const log = createLog({
    ...config.log,
    destination: process.stderr,
    fields: { role, ...name },
    gather: { clock: systemClock, atExit: (flush) => process.once("exit", flush) },
  });
  const build = await loadBuilder(config);
  await endProcessAfter(() =>
    runDaemon(
      config,
      {
        host: process,
        clock: systemClock,
        random: systemRandom,
        log,
        identity,
        software: software(),
      },
      build,
    ),
  );
}
