import { detectRole, loadConfig, type Flag } from "@culvert/config";
import { loadIdentityFile } from "@culvert/identity";
import { ConfigError, systemClock, systemRandom } from "@culvert/runtime";
import { createLog } from "@culvert/telemetry";
import { loadBuilder } from "../compose/build-daemon.ts";
import { runDaemon } from "../daemon/daemon-process.ts";
import { endProcessAfter } from "../end-process.ts";
import { software } from "../version.ts";
import { standardEnds } from "./standard-ends.ts";
import { stdioSession } from "./stdio-session.ts";

/**
 * Runs the server or client of a configuration with the session to its relay over standard input and output, and ends the process with
 * that session. Everything for people goes to standard error.
 * @throws ConfigError before anything is started.
 */
export async function runAgent(file: string, flags: readonly Flag[]): Promise<void> {
  const role = detectRole(file);
  const config = loadConfig(role, { file, env: process.env, flags });
  if (config.role === "relay" || config.relay === undefined) {
    const what = `${file} is for ${config.role === "relay" ? "a relay" : "a Telebit relay's device"}`;
    throw new ConfigError("bad_usage", `${what}; culvert agent is a server or a client of a relay`);
  }
  const identity = await loadIdentityFile(config.identity.keyFile);
  const { relay, name, wss } = config;
  const ends = standardEnds();
  const log = createLog({
    ...config.log,
    destination: process.stderr,
    fields: { role, daemon: name },
    gather: { clock: systemClock, atExit: (flush) => process.once("exit", flush) },
  });
  const build = await loadBuilder(config);
  const deps = { clock: systemClock, random: systemRandom };
  await endProcessAfter(() =>
    runDaemon(
      config,
      {
        ...deps,
        host: {
          pid: process.pid,
          on: (event: never, listener: never) => process.on(event, listener),
          off: (event: never, listener: never) => process.off(event, listener),
          exit: (code) => process.exit(code),
          // Standard output is for packets.
          stdout: process.stderr,
        },
        log,
        identity,
        software: software(),
        givenSession: stdioSession(deps, { ends, identity, relayId: relay.id, settings: wss }),
      },
      build,
    ),
  );
}
