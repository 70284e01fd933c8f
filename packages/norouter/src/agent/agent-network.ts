import type { Netstack } from "@culvert/netstack";
import { type ByteStream, type Clock } from "@culvert/runtime";
import { formatIpv4, parseIpv4 } from "../router/ipv4.ts";
import type { Router } from "../router/router.ts";
import { agentDefaults } from "./agent-defaults.ts";
import { osDial } from "./net/os-dial.ts";
import type { ProxyNetwork } from "./proxy/proxy-network.ts";
import type { Resolver } from "./resolver/resolver.ts";

/** What an {@link AgentNetwork} needs. */
export interface AgentNetworkDeps {
  readonly clock: Clock;
  readonly stack: Netstack;
  /** The agent's own virtual address. */
  readonly me: string;
}

/** The two networks an agent is in: the virtual one and the system's. */
export class AgentNetwork {
  readonly #deps: AgentNetworkDeps;

  constructor(deps: AgentNetworkDeps) {
    this.#deps = deps;
  }

  /** Connects to an address by the virtual network. Errors as of Netstack.connect. */
  readonly dialMesh = (address: string, port: number, signal?: AbortSignal): Promise<ByteStream> =>
    this.#deps.stack.connect({ address, port }, { timeoutMs: agentDefaults.dialTimeout, signal });

  /** Connects to a host as the system does. Errors as of {@link osDial}. */
  readonly dialSystem = (host: string, port: number, signal?: AbortSignal): Promise<ByteStream> =>
    osDial(host, port, { clock: this.#deps.clock, limit: agentDefaults.dialTimeout, signal });

  /** What the proxies see of both. */
  forProxies(resolver: Resolver, router: Router): ProxyNetwork {
    const isOurs = (ip: string): boolean => {
      const address = parseIpv4(ip);
      if (address === undefined || ip === this.#deps.me) return false;
      return formatIpv4(router.route(address)) === this.#deps.me;
    };
    return {
      isInteresting: (host, signal) => resolver.isInteresting(host, signal),
      dialMesh: async (host, port, signal) => {
        const ip = await resolver.resolve(host, signal);
        // What is routed to us lies in our own network: the way through the manager would lead back here.
        return isOurs(ip) ? this.dialSystem(ip, port, signal) : this.dialMesh(ip, port, signal);
      },
      dialSystem: this.dialSystem,
    };
  }
}
