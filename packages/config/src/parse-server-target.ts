import { ConfigError } from "@culvert/runtime";
import { serverTargetKind, type ServerTarget } from "./forward-kinds.ts";
import { Place } from "./place.ts";
import { Problems } from "./problems.ts";

/**
 * Reads `SERVER:TARGET` as it stands on a command line: `lan-box:ssh`, `lan-box:5900`, `lan-box:192.168.1.9:80`.
 * @throws ConfigError `bad_usage` saying what is wrong with it.
 */
export function parseServerTarget(text: string): ServerTarget {
  const problems = new Problems();
  const place = new Place("", "", problems);
  const value = place.attempt((at) => serverTargetKind.parse(text, at));
  if (value !== undefined) return value;
  throw new ConfigError("bad_usage", problems.list.map((problem) => problem.text).join("; "));
}
