import { sessionBounds } from "@culvert/quic";
import { formatHostPort } from "./address-kinds.ts";
import { configDefaults } from "./defaults.ts";
import type { DaemonConfig } from "./load-config.ts";
import { isLoopback, possibleEngines } from "./possible-engines.ts";
import type { RelayConfig } from "./relay-config.ts";

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
    warnings.push(...streamWarnings(config), ...webWarnings(config));
  } else if (config.relay?.caFile !== undefined && !config.relay.behindProxy) {
    warnings.push(
      "relay.caFile: it is not used, since relay.behindProxy is false and the relay proves itself by its key",
    );
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

/** What a relay would refuse by another limit than the one that names it. */
function streamWarnings(config: RelayConfig): readonly string[] {
  if (!possibleEngines(config).includes("quinn")) return [];
  const { streams } = sessionBounds("quinn", config.quic.settings);
  const { connectionsPerClient: connections } = config.limits;
  // The default stands for "as many as the session carries", and is nobody's wish to be warned about.
  if (connections <= streams || String(connections) === configDefaults.connections) return [];
  return [
    `limits.connectionsPerClient: ${connections}, but a session by quinn carries ${streams} connections at a time; what is above waits or fails without naming this limit`,
  ];
}

function webWarnings({ web, public: granted }: RelayConfig): readonly string[] {
  const open = web.plain.filter((address) => !isLoopback(address)).map(formatHostPort);
  const ended = granted.names.filter(({ tls }) => tls === "end");
  const hasCertificates = web.certificates.length > 0 || web.acme !== undefined;
  return [
    ...(open.length === 0
      ? []
      : [
          `web.plain: sessions at ${open.join(", ")} are not encrypted; let only the proxy that ends TLS reach it`,
        ]),
    ...(ended.length === 0 || hasCertificates
      ? []
      : [
          "public.names: TLS is ended here, and there is no certificate that browsers trust; set web.certificates or web.acme",
        ]),
  ];
}
