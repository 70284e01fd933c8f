import type { Command } from "commander";
import {
  addConfigOption,
  addFlags,
  commonFlags,
  dialingFlags,
  flagsGiven,
  type OptionValues,
} from "../flag-options.ts";

/** `culvert connect`: one connection on standard input and output. */
export function registerConnect(program: Command): void {
  const flags = [
    ...dialingFlags,
    ...commonFlags.filter(({ path }) => path !== "admin.listen" && path !== "control.socket"),
  ];
  const command = program
    .command("connect")
    .summary("open one connection on standard input and output")
    .description(
      "Opens one connection to a target and joins it to standard input and output, by a session of its own to the relay beside that of a running client with the same key. Made for ssh's ProxyCommand.",
    )
    .argument(
      "<server:target>",
      "a server's name and a service, port or address, such as lan-box:ssh",
    )
    .addHelpText(
      "after",
      `
Example:
  ssh -o ProxyCommand='culvert connect lan-box:ssh --config client.yaml' lan-box`,
    );
  addConfigOption(command);
  addFlags(command, flags).action(async (to: string, options: OptionValues) => {
    const { connectOnce } = await import("../connect/connect-once.ts");
    const given = flagsGiven(flags, options);
    await connectOnce(to, { file: String(options["config"]), env: process.env, flags: given });
  });
}
