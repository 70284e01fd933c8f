import type { Command } from "commander";
import { commonFlags, dialingFlags } from "../flag-options.ts";
import { registerDaemon } from "./daemon-command.ts";

/** `culvert server`: P4. */
export function registerServer(program: Command): void {
  registerDaemon(program, {
    role: "server",
    summary: "run the proxy beside the TCP servers to reach",
    description:
      "Runs the end-server proxy: it dials the relay and opens connections to the services and addresses that its configuration allows, and to nothing else.",
    flags: [...dialingFlags, ...commonFlags],
    help: `When the relay has accepted it, it prints one line on standard output, such as: ready server lan-box

Example:
  culvert server --config /etc/culvert/server.yaml`,
  });
}
