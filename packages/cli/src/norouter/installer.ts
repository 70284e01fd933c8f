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
url="https://github.com/norouter/norouter/releases/download/v$version/norouter-$(uname -s)-$(uname -m).tgz"
archive=$(mktemp)
trap 'rm -f "$archive"' EXIT
if ! curl -fsSL -o "$archive" "$url"; then
  echo "$url cannot be fetched; what there is: https://github.com/norouter/norouter/releases" >&2
  exit 1
fi
mkdir -p "$target"
tar -xzf "$archive" -C "$target" norouter
"$target/norouter" --version
case ":$PATH:" in
*":$target:"*) ;;
*) echo "$target is not on the path of this shell: write $target/norouter in manifests" ;;
esac
`;
}

/** The last release of NoRouter. */
const newestVersion = "0.6.5";
