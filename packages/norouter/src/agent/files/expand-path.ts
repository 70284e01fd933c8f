import { homedir } from "node:os";
import { join } from "node:path";
import { ConfigError } from "@culvert/runtime";

/** Variables of the environment. */
export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Puts values for `$VAR` and `${VAR}`, and the user's home for a leading `~`.
 * @throws ConfigError `bad_config` for a variable that is not set, and for the home of another user.
 */
export function expandPath(path: string, environment: Environment): string {
  const expanded = path.replace(
    /\$(?:\{(\w*)\}|(\w+))/g,
    (whole, inBraces?: string, bare?: string) => {
      const value = environment[inBraces ?? bare ?? ""];
      if (value !== undefined) return value;
      throw new ConfigError("bad_config", `${path}: the variable ${whole} is not set`);
    },
  );
  if (!expanded.startsWith("~")) return expanded;
  if (expanded !== "~" && !expanded.startsWith("~/")) {
    throw new ConfigError("bad_config", `${path}: the home of another user is not looked up`);
  }
  return join(environment["HOME"] ?? homedir(), expanded.slice(1));
}
