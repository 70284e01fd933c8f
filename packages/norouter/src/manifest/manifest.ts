import type { NorouterForward, NorouterRoute } from "@culvert/wire";

/** One machine of the network. */
export interface ManifestHost {
  readonly name: string;
  /** Its virtual address, dotted. */
  readonly vip: string;
  /** What starts a shell command on it, as a list of arguments; absent for the machine the manager runs on. */
  readonly command?: readonly string[] | undefined;
  /** Ports of its virtual address, those of the template first. */
  readonly forwards: readonly NorouterForward[];
  readonly aliases: readonly string[];
  /** Where its proxies listen, as `host:port`; "" for none. */
  readonly http: { readonly listen: string };
  readonly socks: { readonly listen: string };
  readonly loopback: { readonly disable: boolean };
  readonly stateDir: { readonly path: string; readonly disable: boolean };
  readonly writeEtcHosts: boolean;
}

/** A manifest in which every name, address and route is known to be right. */
export interface Manifest {
  /** In the order of the file. */
  readonly hosts: readonly ManifestHost[];
  /** Later ones win. */
  readonly routes: readonly NorouterRoute[];
}

/** The port of a virtual address at which every agent answers DNS. */
export const dnsPort = 10_053;
