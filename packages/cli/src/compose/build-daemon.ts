import type { DaemonConfig } from "@culvert/config";
import type { Daemon, DaemonContext } from "../daemon/daemon.ts";

/** Puts a daemon together. */
export type BuildDaemon = (context: DaemonContext) => Daemon;

/** What puts together the daemon that a configuration is for; only the code of that one is loaded. */
export async function loadBuilder(config: DaemonConfig): Promise<BuildDaemon> {
  switch (config.role) {
    case "relay": {
      const { buildRelay, loadRelayParts } = await import("./relay-daemon.ts");
      const parts = await loadRelayParts(config);
      return (context) => buildRelay(config, context, parts);
    }
    case "server": {
      const { buildServer } = await import("./server-daemon.ts");
      return (context) => buildServer(config, context);
    }
    case "client": {
      const { buildClient } = await import("./client-daemon.ts");
      const own = config.links.length > 0 ? await import("./own-relay.ts") : undefined;
      return (context) => buildClient(config, context, own?.ownRelay);
    }
  }
}
