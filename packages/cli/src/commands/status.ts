import type { Command } from "commander";
import { addConfigOption, type OptionValues } from "../flag-options.ts";

/** `culvert status`: what a running daemon is doing. */
export function registerStatus(program: Command): void {
  const command = program
    .command("status")
    .summary("show what a running daemon is doing")
    .description(
      "Asks the running daemon of a configuration for its peers or mappings and for its live connections: who connects from which port to which server and target, with bytes and age. Only the user who runs the daemon may ask.",
    )
    .option("--json", "print JSON, with more detail");
  addConfigOption(command).action(async (options: OptionValues) => {
    const { showStatus } = await import("../status/show-status.ts");
    await showStatus(String(options["config"]), options["json"] === true, process);
  });
}
