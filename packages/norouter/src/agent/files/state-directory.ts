import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expandPath, type Environment } from "./expand-path.ts";
import { hostAliases } from "./hostaliases.ts";
import { hostsRegion, withRegion } from "./hosts-region.ts";

/** What is written to a state directory. */
export interface StateDirectoryOptions {
  /** As the manager gave it; "" is the user's `~/.norouter/agent`. */
  readonly path: string;
  readonly environment: Environment;
  readonly hostnameMap: ReadonlyMap<string, string>;
  /** The system's hosts file, whose text is repeated. */
  readonly etcHosts: string;
}

/**
 * Writes `hosts`, `hostaliases` and `README.md` for programs that are pointed to them. Each is replaced as a whole. Returns the directory.
 * @throws ConfigError for a path that cannot be expanded; the system's errors.
 */
export async function writeStateDirectory(options: StateDirectoryOptions): Promise<string> {
  const { environment, hostnameMap } = options;
  const path = options.path === "" ? defaultPath : options.path;
  const directory = expandPath(path, environment);
  await mkdir(directory, { recursive: true, mode: 0o755 });
  const systemHosts = await readOr(options.etcHosts, "");
  const earlier = environment["HOSTALIASES"];
  const aliases = earlier === undefined ? "" : await readOr(earlier, "");
  const files = {
    hosts: withRegion(systemHosts, hostsRegion(hostnameMap)),
    hostaliases: hostAliases(aliases, hostnameMap),
    "README.md": readme(directory),
  };
  for (const [name, text] of Object.entries(files)) await replace(join(directory, name), text);
  return directory;
}

async function readOr(path: string, otherwise: string): Promise<string> {
  return await readFile(path, "utf8").catch(() => otherwise);
}

/** Nobody reads half a file. */
async function replace(path: string, text: string): Promise<void> {
  const next = `${path}.${process.pid}.new`;
  await writeFile(next, text, { mode: 0o644 });
  await rename(next, path);
}

function readme(directory: string): string {
  return `# State of a NoRouter agent

The agent writes these files anew each time it is configured.

- \`hosts\`: the system's hosts file, and the hosts of the virtual network.
  Where it may be mounted: \`unshare -m sh -c 'mount --bind ${directory}/hosts /etc/hosts && exec sh'\`
- \`hostaliases\`: the hosts as aliases of names that public DNS knows, for programs of the C library:
  \`HOSTALIASES=${directory}/hostaliases curl http://HOST:8080\`
`;
}

const defaultPath = "~/.norouter/agent";
