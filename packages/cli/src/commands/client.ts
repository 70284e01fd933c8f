import type { Command } from "commander";
import { clientFlags, commonFlags, dialingFlags } from "../flag-options.ts";
import { registerDaemon } from "./daemon-command.ts";

/** `culvert client`: P2. */
export function registerClient(program: Command): void {
  registerDaemon(program, {
    role: "client",
    summary: "run the proxy beside the TCP clients",
    description:
      "Runs the client proxy: it listens locally, and what connects there comes out at the server and target that the listener is for.",
    flags: [...clientFlags, ...dialingFlags, ...commonFlags],
    help: `When it listens and the relay has accepted it, it prints one line on standard output, such as: ready client 127.0.0.1:30381

Examples:
  culvert client --config client.yaml --forward 127.0.0.1:2222=lan-box:ssh
  culvert client --config client.yaml --socks 127.0.0.1:1080`,
  });
}
