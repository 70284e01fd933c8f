import type { Role } from "@culvert/config";
import type { Command } from "commander";
import {
  addConfigOption,
  addFlags,
  flagsGiven,
  type FlagOption,
  type OptionValues,
} from "../flag-options.ts";

/** A command that runs a daemon. */
export interface DaemonCommand {
  readonly role: Role;
  readonly summary: string;
  readonly description: string;
  readonly flags: readonly FlagOption[];
  /** The ready line, and other things to know. */
  readonly help: string;
}

/** Adds a command that runs a daemon until a signal ends it. */
export function registerDaemon(program: Command, daemon: DaemonCommand): void {
  const command = program
    .command(daemon.role)
    .summary(daemon.summary)
    .description(daemon.description)
    .addHelpText("after", `\n${daemon.help}\n${commonHelp}`);
  addConfigOption(command);
  addFlags(command, daemon.flags);
  command.action(async (options: OptionValues) => {
    const { runDaemonCommand } = await import("../daemon/run-daemon-command.ts");
    const flags = flagsGiven(daemon.flags, options);
    await runDaemonCommand(daemon.role, String(options["config"]), flags);
  });
}

const commonHelp = `
Every key of the configuration can also be set by an environment variable: quic.engine by CULVERT_QUIC_ENGINE, and so on.
Options win over the environment, the environment over the file. culvert check shows what results.

Logs go to standard error. SIGTERM, Ctrl-C or a closed terminal drains: nothing new is accepted, and open connections may
go on for the drain time (30s by default). A second signal ends at once.`;
