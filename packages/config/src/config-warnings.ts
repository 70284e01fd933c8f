import { BlockList, isIPv6 } from "node:net";
import { formatHostPort, type HostPort } from "./address-kinds.ts";
import type { DaemonConfig } from "./load-config.ts";

/** What is allowed but should be meant: one sentence each, for the log at start and for `culvert check`. */
export function configWarnings(config: DaemonConfig): readonly string[] {
  const warnings: string[] = [];
  const { admin } = config;
  if (admin.listen !== undefined && !isLoopback(admin.listen)) {
    warnings.push(
      `admin.listen: ${formatHostPort(admin.listen)} shows metrics to whoever reaches it, without a password`,
    );
  }
  if (config.role === "relay") {
    for (const [index, grant] of config.grants.entries()) {
      if (grant.client === "*" && grant.server === "*") {
        warnings.push(`grants[${index}]: every client may reach every server`);
      }
    }
  }
  if (config.role === "client") {
    for (const key of ["socks", "httpProxy"] as const) {
      const proxy = config[key];
      if (proxy !== undefined && proxy.users.size === 0 && !isLoopback(proxy.listen)) {
        warnings.push(
          `${key}: whoever reaches ${formatHostPort(proxy.listen)} may use it; set ${key}.users or a loopback address`,
        );
      }
    }
    if (config.forwards.length === 0 && !config.socks && !config.httpProxy) {
      warnings.push("forwards: there are none, nor socks or httpProxy, so nothing listens locally");
    }
  }
  return warnings;
}

function isLoopback({ host }: HostPort): boolean {
  return loopback.check(host, isIPv6(host) ? "ipv6" : "ipv4");
}

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8, "ipv4");
loopback.addAddress("::1", "ipv6");
