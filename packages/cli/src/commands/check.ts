import type { Command } from "commander";
import { addConfigOption, type OptionValues } from "../flag-options.ts";

/** `culvert check`: is a configuration right, and what does it come to. */
export function registerCheck(program: Command): void {
  const command = program
    .command("check")
    .summary("check a configuration and show what it comes to")
    .description(
      "Checks a configuration of any of the three daemons together with CULVERT_ environment variables and its key file, then prints it in full, defaults included and secrets left out, and the most buffer memory that peers can make the daemon hold. Tells every problem at once, and ends with 2 if there is any.",
    )
    .option("--json", "print JSON");
  addConfigOption(command).action(async (options: OptionValues) => {
    const { checkConfig } = await import("../check-config.ts");
    await checkConfig(String(options["config"]), options["json"] === true, process);
  });
}
