import { Option, type Command } from "commander";
import {
  addConfigOption,
  addFlags,
  commonFlags,
  flagsGiven,
  type OptionValues,
} from "../flag-options.ts";

/** `culvert agent --stdio`: a server or client that a link of a relay has started. */
export function registerAgent(program: Command): void {
  const command = program
    .command("agent")
    .summary("be the server or client at the far end of a relay's link")
    .description(
      "Runs the server or client of a configuration with its session to the relay over standard input and output. A relay starts it by a link, through ssh, docker exec, kubectl exec or any command that gives it both; nobody has to dial, by UDP or otherwise. It ends with its standard input.",
    )
    .addOption(
      new Option(
        "--stdio",
        "standard input and output are the session; there is no other way",
      ).makeOptionMandatory(),
    )
    .addHelpText(
      "after",
      `
In the relay's configuration:
  links:
    - name: lan-box
      command: ssh user@lan-box -- culvert agent --stdio --config server.yaml

Standard output carries packets and nothing else: a login script that prints something there spoils it. Logs go to
standard error, and from there into the relay's log.`,
    );
  addConfigOption(command);
  addFlags(command, commonFlags);
  command.action(async (options: OptionValues) => {
    const { runAgent } = await import("../agent/run-agent.ts");
    await runAgent(String(options["config"]), flagsGiven(commonFlags, options));
  });
}
