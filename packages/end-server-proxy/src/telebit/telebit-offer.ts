import { isIPv4 } from "node:net";
import type { ConnectionMeta } from "@culvert/transport";
import { canonicalIpv6, parsePublicName, type PublicOffer } from "@culvert/wire";

/**
 * A connection of a Telebit relay as one from the public entrance of ours.
 * @throws ConfigError `bad_name` where the name is none.
 */
export function telebitOffer({
  id,
  service,
  servicePort,
  name,
}: ConnectionMeta): PublicOffer | undefined {
  const known = services.find((each) => each === service);
  if (known === undefined) return undefined;
  const address = canonicalIpv6(id.address) ?? (isIPv4(id.address) ? id.address : "0.0.0.0");
  return {
    service: known,
    name: known === "tcp" ? "" : parsePublicName(name),
    servicePort: portOf(servicePort),
    remote: { family: isIPv4(address) ? "IPv4" : "IPv6", address, port: portOf(id.port) },
    localAddress: "",
    tlsEnded: false,
  };
}

function portOf(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  return port <= 65_535 ? port : 0;
}

const services = ["https", "http", "tcp"] as const;
