import { isIPv6 } from "node:net";
import { ConfigError } from "@culvert/runtime";
import { isIpv4, type ConfigureArgs, type NorouterRoute } from "@culvert/wire";
import { parseNetwork } from "../../router/ipv4.ts";
import { Router } from "../../router/router.ts";

/**
 * The router of an agent. Routes of IPv6, and those to hosts that have no IPv4 address, are left out, since nothing is ever sent there.
 * @throws ConfigError `bad_address` for a network that is none.
 */
export function agentRouter({ hostnameMap, routes }: ConfigureArgs): Router {
  const hosts = new Set([...hostnameMap.values()].filter((ip) => isIpv4(ip)));
  return new Router({ hosts, routes: routes.filter(({ via }) => isIpv4(via)).map(ipv4Route) });
}

function ipv4Route({ toCidr, toHostnameGlob, via }: NorouterRoute): NorouterRoute {
  return { toCidr: toCidr.filter(isIpv4Network), toHostnameGlob, via };
}

function isIpv4Network(text: string): boolean {
  if (parseNetwork(text) !== undefined) return true;
  const [address = "", prefix = ""] = text.split("/");
  if (isIPv6(address) && /^\d{1,3}$/.test(prefix) && Number(prefix) <= 128) return false;
  throw new ConfigError("bad_address", `invalid CIDR address: ${text}`, { data: { text } });
}
