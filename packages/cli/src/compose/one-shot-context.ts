import type { ClientConfig, ServerConfig, Sources } from "@culvert/config";
import { loadIdentityFile } from "@culvert/identity";
import { systemClock, systemRandom } from "@culvert/runtime";
import { createLog, createRegistry } from "@culvert/telemetry";
import type { DaemonContext } from "../daemon/daemon.ts";

/**
 * What a command needs that has a session of its own and ends with it. Logs nothing unless asked by flag, since standard error belongs
 * to the user.
 * @throws ConfigError where the key cannot be read.
 */
export async function oneShotContext(
  config: ClientConfig | ServerConfig,
  sources: Sources,
): Promise<DaemonContext> {
  const identity = await loadIdentityFile(config.identity.keyFile);
  const asked = (sources.flags ?? []).some(({ path }) => path === "log.level");
  const log = createLog({
    level: asked ? config.log.level : "silent",
    format: config.log.format,
    destination: process.stderr,
  });
  return {
    clock: systemClock,
    random: systemRandom,
    log,
    registry: createRegistry(),
    identity,
  };
}
