import { readHttpProxy, type ProxyChoice } from "@culvert/config";
import { ConfigError } from "@culvert/runtime";
import { isLoopback, ProxyBypass, type HostPort, type HttpProxy } from "@culvert/transport";

/** The variables that name a proxy for everybody, in either case, as other programs read them. */
export type ProxyVariables = Readonly<Record<string, string | undefined>>;

/**
 * The HTTP proxy through which a target is reached, or undefined for the straight way. `auto` follows `https_proxy` and `no_proxy`;
 * what is on this machine is reached without.
 * @throws ConfigError `bad_config` where `https_proxy` is not the URL of an HTTP proxy.
 */
export function httpProxyOf(
  choice: ProxyChoice,
  target: HostPort,
  env: ProxyVariables,
): HttpProxy | undefined {
  if (choice.kind === "none") return undefined;
  if (choice.kind === "http") return choice;
  const written = env["https_proxy"] ?? env["HTTPS_PROXY"] ?? "";
  const bypass = new ProxyBypass(env["no_proxy"] ?? env["NO_PROXY"] ?? "");
  if (written === "" || isHere(target) || bypass.matches(target)) return undefined;
  const proxy = readHttpProxy(/^[a-z0-9+.-]+:\/\//i.test(written) ? written : `http://${written}`);
  if (proxy !== undefined) return proxy;
  // The text may hold a password, so it is not shown.
  throw new ConfigError(
    "bad_config",
    "https_proxy of the environment is not an HTTP proxy such as http://proxy.example.com:3128; relay.proxy names another one, or off",
  );
}

function isHere({ host }: HostPort): boolean {
  return host === "localhost" || isLoopback(host);
}
