import { isIP } from "node:net";
import { LimitError, TransportError } from "@culvert/runtime";
import { isIpv4, type RouteSuggestion } from "@culvert/wire";
import { canonicalName } from "../../router/hostname-glob.ts";
import { formatIpv4, parseIpv4 } from "../../router/ipv4.ts";
import type { LearnRefusal, Router } from "../../router/router.ts";

/** What a {@link Resolver} needs. */
export interface ResolverDeps {
  /** Knows virtual addresses, routes, and what was learned. */
  readonly router: Router;
  /** All addresses the system has for a name; rejects where it has none, and when the signal aborts. */
  readonly lookup: (name: string, signal?: AbortSignal) => Promise<readonly string[]>;
  /** Asks the DNS of the host with virtual address `via` for the IPv4 addresses of a name. */
  readonly queryVia: (
    via: string,
    name: string,
    signal?: AbortSignal,
  ) => Promise<readonly string[]>;
  /** Tells the manager of a route; false where it cannot be told. */
  readonly suggest: (suggestion: RouteSuggestion) => boolean;
}

/** Tells the proxies which hosts lie in the virtual network, and where, learning routes on the way (NOROUTER.md §4). */
export class Resolver {
  readonly #deps: ResolverDeps;
  readonly #names: ReadonlyMap<string, string>;
  readonly #hosts: ReadonlySet<string>;

  /** @param hostnameMap - names of hosts in any case, with their virtual addresses. */
  constructor(deps: ResolverDeps, hostnameMap: ReadonlyMap<string, string>) {
    this.#deps = deps;
    this.#names = new Map([...hostnameMap].map(([name, ip]) => [canonicalName(name), ip]));
    this.#hosts = new Set(hostnameMap.values());
  }

  /**
   * Whether a host is reached by the virtual network; all others are the system's. False once the signal aborts.
   * @throws LimitError where it cannot be told, since too many names are being looked up.
   */
  async isInteresting(host: string, signal?: AbortSignal): Promise<boolean> {
    if (isIP(host) !== 0) return this.#isRouted(host);
    if (this.#names.has(canonicalName(host))) return true;
    const via = this.#deps.router.routeName(host);
    if (via !== undefined && this.#hosts.has(formatIpv4(via))) return true;
    try {
      return (await this.#deps.lookup(host, signal)).some((ip) => this.#isRouted(ip));
    } catch (error) {
      if (error instanceof LimitError) throw error;
      return false;
    }
  }

  /**
   * The address of an interesting host. One that another host's DNS gave is learned, and suggested to the manager before anything is
   * sent there.
   * @throws TransportError `name_not_found` (also for one that leads only to addresses which every machine has of its own) or `aborted`, or as `lookup` and `queryVia`; LimitError `queue_full` where the manager cannot
   * be told, since it would send elsewhere what goes there.
   */
  async resolve(host: string, signal?: AbortSignal): Promise<string> {
    if (isIpv4(host)) return host;
    const known = this.#names.get(canonicalName(host));
    if (known !== undefined) return known;
    const via = isIP(host) === 0 ? this.#deps.router.routeName(host) : undefined;
    if (via !== undefined) return this.#resolveVia(via, host, signal);
    const first = (await this.#deps.lookup(host, signal)).find((ip) => isIpv4(ip));
    if (first === undefined) throw notFound(host);
    return first;
  }

  async #resolveVia(via: number, host: string, signal?: AbortSignal): Promise<string> {
    const viaText = formatIpv4(via);
    const answered = await this.#deps.queryVia(viaText, canonicalName(host), signal);
    const [anything] = answered;
    if (anything === undefined) throw notFound(host);
    const refusalOf = (ip: string): LearnRefusal | undefined =>
      this.#deps.router.learnRefusal(parseIpv4(ip) ?? 0, via);
    const ips = answered.slice(0, maxSuggested).filter((ip) => refusalOf(ip) !== "special_address");
    const [first] = ips;
    if (first === undefined) throw ledNowhere(host, anything, viaText);
    // What the manifest leads elsewhere is reached there: neither we nor the manager would send it through this host.
    const behind = ips.filter((ip) => refusalOf(ip) === undefined);
    if (behind.length === 0) return first;
    if (!this.#deps.suggest({ ip: behind, route: viaText })) {
      throw notSuggested(host, behind, viaText);
    }
    for (const ip of behind) this.#deps.router.learn(parseIpv4(ip) ?? 0, via);
    return first;
  }

  #isRouted(ip: string): boolean {
    const address = parseIpv4(ip);
    return address !== undefined && this.#hosts.has(formatIpv4(this.#deps.router.route(address)));
  }
}

function notFound(host: string): TransportError {
  return new TransportError("name_not_found", `no IPv4 address for ${JSON.stringify(host)}`, {
    data: { host },
  });
}

function ledNowhere(host: string, ip: string, via: string): TransportError {
  const text = `${JSON.stringify(host)} leads to ${ip}, which no name may lead to behind ${via}; a network of the manifest may`;
  return new TransportError("name_not_found", text, { data: { host, ip, via } });
}

function notSuggested(host: string, ips: readonly string[], via: string): LimitError {
  const what = `${JSON.stringify(host)} (${ips.join(", ")}) lies behind ${via}`;
  const text = `the manager cannot be told that ${what}: it does not read`;
  return new LimitError("queue_full", text, { data: { limit: "messages", host, via } });
}

/** Addresses of one name that are learned: an answer may hold thousands, and what is learned is bounded. */
const maxSuggested = 64;
