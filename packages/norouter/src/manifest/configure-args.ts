import { configureRequest, type ConfigureArgs, type NorouterRequest } from "@culvert/wire";
import { dnsPort, type Manifest, type ManifestHost } from "./manifest.ts";

/** What the agent of a host is told (NOROUTER.md §3). Lists are in the manifest's order, so that the same manifest says the same. */
export function configureArgsOf(host: ManifestHost, { hosts, routes }: Manifest): ConfigureArgs {
  const { vip, forwards, http, socks, loopback, stateDir, writeEtcHosts } = host;
  return {
    me: vip,
    forwards,
    others: hosts
      .filter((other) => other !== host)
      .flatMap((other) =>
        other.forwards.map(({ listenPort, proto }) => ({ ip: other.vip, port: listenPort, proto })),
      ),
    hostnameMap: new Map(
      hosts.flatMap((one) => [one.name, ...one.aliases].map((name) => [name, one.vip] as const)),
    ),
    http,
    socks,
    loopback,
    stateDir,
    writeEtcHosts,
    routes,
    nameServers: hosts.map((one) => ({ ip: one.vip, port: dnsPort, proto: "tcp" })),
  };
}

/** The request by which the agent of a host is told. */
export function configureRequestOf(
  id: number,
  host: ManifestHost,
  manifest: Manifest,
): NorouterRequest {
  return configureRequest(id, configureArgsOf(host, manifest));
}
