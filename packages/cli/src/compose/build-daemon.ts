import type { DaemonConfig } from "@culvert/config";
import type { Daemon, DaemonContext } from "../daemon/daemon.ts";
import { buildClient } from "./client-daemon.ts";
import { buildRelay } from "./relay-daemon.ts";
import { buildServer } from "./server-daemon.ts";

/** Puts together the daemon that a configuration is for. */
export function buildDaemon(config: DaemonConfig, context: DaemonContext): Daemon {
  switch (config.role) {
    case "relay":
      return buildRelay(config, context);
    case "server":
      return buildServer(config, context);
    case "client":
      return buildClient(config, context);
  }
}
