import { loadClientConfig, type ClientConfig } from "./client-config.ts";
import type { Role } from "./common-schema.ts";
import { loadRelayConfig, type RelayConfig } from "./relay-config.ts";
import { loadServerConfig, type ServerConfig } from "./server-config.ts";
import type { Sources } from "./load.ts";

/** The configuration of any daemon. */
export type DaemonConfig = RelayConfig | ServerConfig | ClientConfig;

/**
 * Reads the configuration of a daemon of the given role.
 * @throws ConfigError `unreadable_file`, or `bad_config` listing everything that is wrong.
 */
export function loadConfig(role: Role, sources: Sources): DaemonConfig {
  switch (role) {
    case "relay":
      return loadRelayConfig(sources);
    case "server":
      return loadServerConfig(sources);
    case "client":
      return loadClientConfig(sources);
  }
}
