import { detectRole, loadConfig, serviceSocket } from "@culvert/config";
import { TransportError } from "@culvert/runtime";
import { queryStatus } from "@culvert/telemetry";
import type { CommandIo } from "../check-config.ts";
import { formatStatus } from "./format-status.ts";

/**
 * Asks the daemon of a configuration what it is doing, and prints it. Where nothing answers at the configuration's own socket, the one of
 * the systemd unit is tried.
 * @throws ConfigError where the configuration is wrong; TransportError where no daemon answers.
 */
export async function showStatus(
  file: string,
  json: boolean,
  io: CommandIo,
  socketOfService: typeof serviceSocket = serviceSocket,
): Promise<void> {
  const role = detectRole(file);
  const config = loadConfig(role, { file, env: io.env });
  const status = await queryEither(config.control.socket, socketOfService(role));
  io.stdout.write(json ? `${JSON.stringify(status, undefined, 2)}\n` : formatStatus(status));
}

/** The failure told is that of the first, unless somebody is at the second. */
async function queryEither(own: string, service: string): Promise<unknown> {
  try {
    return await queryStatus(own);
  } catch (error) {
    if (!isNobody(error) || own === service) throw error;
    return queryStatus(service).catch((second: unknown) => {
      throw isNobody(second) ? error : second;
    });
  }
}

function isNobody(error: unknown): boolean {
  return (
    error instanceof TransportError && error.code === "dial_failed" && error.data["nobody"] === true
  );
}
