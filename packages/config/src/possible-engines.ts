import { BlockList, isIPv6 } from "node:net";
import type { HostPort } from "./address-kinds.ts";
import type { DaemonConfig } from "./load-config.ts";

/** The QUIC engines that a daemon may come to use: `auto` takes quiche on loopback, and elsewhere quinn where its addon loads. */
export function possibleEngines(config: DaemonConfig): readonly ("quiche" | "quinn")[] {
  const { engine } = config.quic.policy;
  const addresses = quicAddresses(config);
  if (addresses.length === 0) return [];
  if (engine !== "auto") return [engine];
  return [
    ...(addresses.some(isLoopback) ? (["quiche"] as const) : []),
    ...(addresses.every(isLoopback) ? [] : (["quinn"] as const)),
  ];
}

/** Whether an address is of this machine alone; a name other than `localhost` is taken for elsewhere. */
export function isLoopback({ host }: HostPort): boolean {
  return host === "localhost" || loopback.check(host, isIPv6(host) ? "ipv6" : "ipv4");
}

function quicAddresses(config: DaemonConfig): readonly HostPort[] {
  if (config.role === "relay") return config.listen;
  const address = config.relay?.address;
  return address !== undefined && config.transports.includes("quic") ? [address] : [];
}

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8, "ipv4");
loopback.addAddress("::1", "ipv6");
