import { lookup } from "node:dns/promises";
import { join } from "node:path";
import { withDeadline, type Clock, type Random } from "@culvert/runtime";
import type { Log } from "@culvert/telemetry";
import { agentDefaults } from "./agent-defaults.ts";
import type { AgentMachine } from "./agent-options.ts";
import { systemDnsServers } from "./dns/resolv-conf.ts";
import type { Environment } from "./files/expand-path.ts";

/** What only the process knows. */
export interface SystemMachineDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly environment: Environment;
}

/** The machine as it is. */
export function systemMachine(deps: SystemMachineDeps): AgentMachine {
  const { clock, environment } = deps;
  return {
    ...deps,
    etcHosts: etcHostsPath(environment),
    dnsServers: async () =>
      (await systemDnsServers("/etc/resolv.conf")).map((address) => ({ address, port: 53 })),
    lookup: async (name) => {
      const what = `look-up of ${JSON.stringify(name)}`;
      const found = await withDeadline({ clock, limit: agentDefaults.lookupTimeout, what }, () =>
        lookup(name, { all: true }),
      );
      return found.map(({ address }) => address);
    },
  };
}

function etcHostsPath(environment: Environment): string {
  const windows = environment["SystemRoot"];
  if (process.platform !== "win32" || windows === undefined) return "/etc/hosts";
  return join(windows, "System32", "drivers", "etc", "hosts");
}
