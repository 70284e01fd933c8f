import type { ConfigureArgs } from "@culvert/wire";

/** What an agent lacks of what it was told to do. */
export interface MissingFeatures {
  /** It cannot work at all. */
  readonly fatal: readonly string[];
  /** It works but for these. */
  readonly others: readonly string[];
}

/** Compares what an agent says it can do with what it was told to do. */
export function missingFeatures(args: ConfigureArgs, features: readonly string[]): MissingFeatures {
  const lacks = (feature: string, wanted: boolean): string[] =>
    wanted && !features.includes(feature) ? [feature] : [];
  return {
    fatal: [...lacks("tcp", true), ...lacks("loopback.disable", args.loopback.disable)],
    others: [
      ...lacks("http", args.http.listen !== ""),
      ...lacks("socks", args.socks.listen !== ""),
      ...lacks("hostaliases", !args.stateDir.disable),
      ...lacks("etchosts", args.writeEtcHosts),
      ...lacks("routes", args.routes.length > 0),
      ...lacks(
        "dns",
        args.routes.some(({ toHostnameGlob }) => toHostnameGlob.length > 0),
      ),
    ],
  };
}
