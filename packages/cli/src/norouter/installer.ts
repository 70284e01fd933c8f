import { ConfigError } from "@culvert/runtime";

/**
 * A shell script that installs NoRouter's own program, which is one file and needs no Node.js, into `~/bin`.
 * @throws ConfigError `bad_usage` where the version is none.
 */
export function installerScript(version = newestVersion): string {
  if (!/^\d+\.\d+\.\d+$/.test(version)) {
    throw new ConfigError("bad_usage", `${version} is no version such as ${newestVersion}`);
  }
  return `#!/bin/sh
# Installs NoRouter's own program, which works with Culvert's manager and needs nothing else on this machine.
set -eu
version=${version}
target="$HOME/bin"
archive="norouter-$(uname -s)-$(uname -m).tgz"
mkdir -p "$target"
curl -fsSL "https://github.com/norouter/norouter/releases/download/v$version/$archive" | tar -xzf - -C "$target" norouter
"$target/norouter" --version
`;
}

/** The last release of NoRouter. */
const newestVersion = "0.6.5";
