import type { Command } from "commander";
import { commonFlags, relayFlags } from "../flag-options.ts";
import { registerDaemon } from "./daemon-command.ts";

/** `culvert relay`: P3. */
export function registerRelay(program: Command): void {
  registerDaemon(program, {
    role: "relay",
    summary: "run the relay, which clients and servers dial",
    description:
      "Runs the relay: clients and servers dial in by UDP, and it joins their connections as far as its grants allow.",
    flags: [...relayFlags, ...commonFlags],
    help: `When it listens, it prints one line on standard output, such as: ready relay udp 127.0.0.1:30380

Example:
  culvert relay --config /etc/culvert/relay.yaml --listen 0.0.0.0:443`,
  });
}
