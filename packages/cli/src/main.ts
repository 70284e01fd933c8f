import { Command, CommanderError } from "commander";
import { registerAgent } from "./commands/agent.ts";
import { registerCheck } from "./commands/check.ts";
import { registerClient } from "./commands/client.ts";
import { registerConnect } from "./commands/connect.ts";
import { registerDemo } from "./commands/demo.ts";
import { registerDemoEndServer } from "./commands/demo-end-server.ts";
import { registerExpose } from "./commands/expose.ts";
import { registerInit } from "./commands/init.ts";
import { registerKey } from "./commands/key.ts";
import { registerNorouter } from "./commands/norouter.ts";
import { registerRelay } from "./commands/relay.ts";
import { registerServer } from "./commands/server.ts";
import { registerStatus } from "./commands/status.ts";
import { registerToken } from "./commands/token.ts";
import { ExitCode } from "./exit-code.ts";
import { version } from "./version.ts";

/**
 * Runs the `culvert` command and sets the process's exit code: 0 where all went well, 1 where it failed while running, 2 where
 * the command line or the configuration is wrong. Every failure is one clear message on standard error.
 */
export async function main(argv: readonly string[]): Promise<void> {
  // A reader such as head may leave before we are done; that is no fault of ours.
  for (const stream of [process.stdout, process.stderr]) {
    if (!stream.listeners("error").includes(ignore)) stream.on("error", ignore);
  }
  try {
    await createProgram().parseAsync(argv);
  } catch (error) {
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode === 0 ? ExitCode.Ok : ExitCode.Usage;
      return;
    }
    const { reportFailure } = await import("./report-failure.ts");
    process.exitCode = reportFailure(error, process.stderr);
  }
}

/** The command line: every command is in a file of its own and loads what it needs only when it runs. */
export function createProgram(): Command {
  const program = new Command("culvert")
    .description(
      "Forwards TCP connections under NATs and firewalls, over QUIC, through a relay that both sides dial.",
    )
    .version(version())
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({
      outputError: (text, write) => write(text.replace(/^error: /, "culvert: ")),
    })
    .addHelpText(
      "after",
      `
Try it on one machine:
  culvert demo                      Starts everything, sends data through, and shows how to join in.

Set it up:
  culvert init trial                Writes three configurations and their keys into the folder trial.
  culvert relay --config trial/relay.yaml
  culvert server --config trial/server.yaml
  culvert client --config trial/client.yaml

Exit codes: 0 all went well, 1 failed while running, 2 wrong command line or configuration.`,
    );
  registerInit(program);
  registerRelay(program);
  registerServer(program);
  registerClient(program);
  registerAgent(program);
  registerConnect(program);
  registerExpose(program);
  registerNorouter(program);
  registerStatus(program);
  registerCheck(program);
  registerKey(program);
  registerToken(program);
  registerDemo(program);
  registerDemoEndServer(program);
  return program;
}

function ignore(): void {
  // See main.
}
