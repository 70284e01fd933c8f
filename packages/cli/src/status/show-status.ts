import { detectRole, loadConfig } from "@culvert/config";
import { queryStatus } from "@culvert/telemetry";
import type { CommandIo } from "../check-config.ts";
import { formatStatus } from "./format-status.ts";

/**
 * Asks the daemon of a configuration what it is doing, and prints it.
 * @throws ConfigError where the configuration is wrong; TransportError where no daemon answers.
 */
export async function showStatus(file: string, json: boolean, io: CommandIo): Promise<void> {
  const config = loadConfig(detectRole(file), { file, env: io.env });
  const status = await queryStatus(config.control.socket);
  io.stdout.write(json ? `${JSON.stringify(status, undefined, 2)}\n` : formatStatus(status));
}
