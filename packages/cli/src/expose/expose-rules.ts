import type { ExposeConfig, ExposeTarget, ServerConfig } from "@culvert/config";
import type { ExposeRule, ServiceTarget } from "@culvert/end-server-proxy";
import { ConfigError } from "@culvert/runtime";

/** What a server exposes by its configuration, services resolved to where they are. */
export function exposeRules({
  expose,
  services,
}: Pick<ServerConfig, "expose" | "services">): readonly ExposeRule[] {
  return expose.map((entry) => exposeRule(entry, services));
}

/**
 * One expose, its services resolved to where they are.
 * @throws ConfigError `bad_config` where it names a service there is none of.
 */
export function exposeRule(
  entry: ExposeConfig,
  services: ReadonlyMap<string, ServiceTarget>,
): ExposeRule {
  const { name = "", port = 0, certFile, keyFile } = entry;
  return {
    name,
    port,
    to: serviceTarget(entry.to, services),
    tls: entry.tls,
    certificate:
      certFile === undefined || keyFile === undefined ? undefined : { certFile, keyFile },
    proxyProtocol: entry.proxyProtocol,
    forwardedFor: entry.forwardedFor,
    ssh: entry.ssh === undefined ? undefined : serviceTarget(entry.ssh, services),
  };
}

/** Where a target is. @throws as {@link exposeRule} */
export function serviceTarget(
  target: ExposeTarget,
  services: ReadonlyMap<string, ServiceTarget>,
): ServiceTarget {
  if (target.kind === "tcp") return target;
  const found = services.get(target.name);
  if (found !== undefined) return found;
  throw new ConfigError("bad_config", `no service is named ${target.name}`);
}
