import { queryStatus } from "@culvert/telemetry";
import type { CommandIo } from "../check-config.ts";
import type { OptionValues } from "../flag-options.ts";
import { formatNorouterStatus } from "./format-status.ts";
import { defaultSocket } from "./manifest-file.ts";

/**
 * Asks the running manager of a manifest what it is doing, and prints it.
 * @throws TransportError where none answers.
 */
export async function showNorouterStatus(
  manifest: string,
  options: OptionValues,
  io: Pick<CommandIo, "stdout">,
): Promise<void> {
  const control = options["control"] as string | undefined;
  const status = await queryStatus(control ?? defaultSocket(manifest));
  const json = options["json"] === true;
  io.stdout.write(
    json ? `${JSON.stringify(status, undefined, 2)}\n` : formatNorouterStatus(status),
  );
}
