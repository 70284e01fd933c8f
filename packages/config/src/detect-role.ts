import { ConfigError } from "@culvert/runtime";
import { readConfigFile } from "./config-file.ts";
import type { Role } from "./common-schema.ts";

/**
 * Tells which daemon a configuration file is for: by its `role` key, else by the keys that only one daemon has.
 * @throws ConfigError `unreadable_file`, or `bad_config` where it cannot be told.
 */
export function detectRole(file: string): Role {
  const tree = readConfigFile(file);
  const said = roles.find((role) => role === tree["role"]);
  if (said !== undefined) return said;
  const likely = roles.filter((role) => ownKeys[role].some((key) => Object.hasOwn(tree, key)));
  const [only] = likely;
  if (only !== undefined && likely.length === 1) return only;
  throw new ConfigError(
    "bad_config",
    `${file}: cannot tell which daemon this is for; add the key role with relay, server or client`,
    { data: { file } },
  );
}

const roles: readonly Role[] = ["relay", "server", "client"];

const ownKeys: Readonly<Record<Role, readonly string[]>> = {
  relay: ["peers", "grants", "listen", "web", "public"],
  server: ["services", "allow", "expose"],
  client: ["forwards", "socks", "httpProxy"],
};
