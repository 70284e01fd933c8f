import { Option, type Command } from "commander";
import type { OptionValues } from "../flag-options.ts";
import { version } from "../version.ts";

/** `culvert norouter`: NoRouter's manager and agent, with NoRouter's own command line. */
export function registerNorouter(program: Command): void {
  const norouter = program
    .command("norouter")
    .summary("join machines into a virtual network over ssh, docker exec and the like")
    .description(
      "Joins machines into a virtual IPv4 network over any command that runs a program on each of them, without root, open ports or a VPN. Takes the manifests of NoRouter, and works together with NoRouter's own manager and agents.",
    )
    .version(`norouter version ${version()} (culvert)`, "-v, --version")
    // What stands after a word such as show-installer is that word's own.
    .enablePositionalOptions();
  addAgentOptions(addManagerOptions(norouter))
    .argument("[manifest]", "the manifest, YAML; /dev/stdin reads it from there")
    .addHelpText("after", help)
    .action(runManager);
  addManagerOptions(norouter.command("manager").alias("m"))
    .description("Run a manifest; the same as without the word manager.")
    .argument("[manifest]", "the manifest, YAML")
    .action(runManager);
  registerAgent(norouter);
  registerInformation(norouter);
}

function addManagerOptions(command: Command): Command {
  return command
    .option("--debug", "write events for fault-finding, too")
    .option("-e, --open-editor", "write a manifest in an editor first, beginning with an example")
    .option("--no-restart", "do not start agents again, and end with 1 when the last has ended")
    .option(
      "--silence-limit <duration>",
      "how long an agent may answer nothing before it is started again; 0s: for ever",
      "60s",
    )
    .option("--no-watch", "do not follow changes of the manifest; SIGHUP reads it again")
    .option("--admin <address>", "TCP address of /metrics, /healthz and /readyz")
    .addOption(controlOption())
    .addOption(
      new Option("--log-format <format>", "pretty, json, or auto (pretty on a terminal)")
        .choices(["auto", "pretty", "json"])
        .default("auto"),
    );
}

function controlOption(): Option {
  return new Option(
    "--control <path>",
    "Unix socket where culvert norouter status asks; beside the manifest unless given",
  );
}

/** They stand before the word agent, which managers add to the command of a manifest. */
function addAgentOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        "--bastion <mode>",
        "in the command of a host: what its agent connects others to; routes: what the manifest routes to it, any: all it can reach, as NoRouter does, off",
      )
        .choices(["routes", "any", "off"])
        .default("routes"),
    )
    .addOption(
      new Option(
        "--bastion-allow <network>",
        "in the command of a host: a network, such as 10.0.0.0/8, that its agent connects others to in every mode; may be repeated",
      ).argParser((value, before: readonly string[] | undefined) => [...(before ?? []), value]),
    );
}

function registerAgent(norouter: Command): void {
  norouter
    .command("agent")
    .description("Run an agent on standard input and output. Managers start it.")
    .option("--automated", "said by managers")
    .option("--debug", "write events for fault-finding, too")
    .addOption(new Option("--debug-init-config <json>").hideHelp())
    .action(async (_options: OptionValues, command: Command) => {
      const { runNorouterAgent } = await import("../norouter/run-agent.ts");
      await runNorouterAgent(optionsOf(command));
    });
}

function registerInformation(norouter: Command): void {
  norouter
    .command("status")
    .description(
      "Show what the running manager of a manifest is doing: agents, and bytes per pair.",
    )
    .argument("<manifest>", "the manifest that it runs")
    .option("--json", "print JSON")
    .addOption(controlOption())
    .action(async (manifest: string, _options: OptionValues, command: Command) => {
      const { showNorouterStatus } = await import("../norouter/show-status.ts");
      await showNorouterStatus(manifest, optionsOf(command), process);
    });
  norouter
    .command("show-example")
    .alias("show-ex")
    .description("Print a manifest to begin with.")
    .action(async () => {
      const { exampleManifest } = await import("@culvert/norouter");
      process.stdout.write(exampleManifest);
    });
  norouter
    .command("show-installer")
    .description(
      "Print a shell script that installs NoRouter's own agent, for hosts without Node.js.",
    )
    .option("--version <version>", "the version of NoRouter to install")
    .action(async (options: OptionValues) => {
      const { installerScript } = await import("../norouter/installer.ts");
      process.stdout.write(installerScript(options["version"] as string | undefined));
    });
}

/** What was said after a word such as `agent` counts more than what was said before it, and both more than defaults. */
function optionsOf(command: Command): OptionValues {
  const values: Record<string, unknown> = {};
  const commands = [command, command.parent].filter((one) => one?.name() !== "culvert");
  for (const one of commands) {
    for (const [key, value] of Object.entries(one?.opts() ?? {})) {
      if (!(key in values) || command.getOptionValueSource(key) === "default") values[key] = value;
    }
  }
  return values;
}

async function runManager(
  manifest: string | undefined,
  _options: OptionValues,
  command: Command,
): Promise<void> {
  const { runNorouterManager } = await import("../norouter/run-manager.ts");
  await runNorouterManager(manifest, optionsOf(command));
}

const help = `
Begin with:
  culvert norouter show-example > mesh.yaml
  culvert norouter mesh.yaml

On every host of the manifest a command starts culvert norouter or NoRouter's own norouter, which need not be of one kind.

A changed manifest is taken up at once: agents that it says something new to are started again. An agent that ends is
started again, too. Ctrl-C or SIGTERM ends the manager and all agents.

Exit codes: 0 ended by a signal, 1 failed while running, 2 wrong command line or manifest.`;
