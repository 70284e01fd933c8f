import { formatHostPort } from "@culvert/transport";
import type { NameTable } from "./name-table.ts";
import type { PortTable } from "./port-table.ts";

/** The public entrance, as `culvert status` shows it; plain JSON. */
export interface PublicStatus {
  /** What it listens on: `https 0.0.0.0:443`. */
  readonly listen: readonly string[];
  /** Names and ports that lead to devices, at most {@link mostShown}. */
  readonly sites: readonly PublicSiteStatus[];
  /** How many there are. */
  readonly siteCount: number;
  /** Connections that have reached a device, the newest {@link mostShown}. */
  readonly connections: readonly PublicConnectionStatus[];
  /** All that are open, those still in their handshake included. */
  readonly connectionCount: number;
}

/** One public name, wildcard or port. */
export interface PublicSiteStatus {
  /** `app.example.com`, `*.box.example.com`, `port 0.0.0.0:2222`. */
  readonly site: string;
  /** Who serves it, connected ones only, each as often as it has sessions for it; empty while nobody is there. */
  readonly servers: readonly string[];
  /** Where TLS ends, and what plain HTTP gets; absent for a port. */
  readonly tls?: "pass" | "end";
  readonly http?: "forward" | "redirect";
  /** Connections open now that came by it first. */
  readonly connections: number;
}

/** One connection from the internet. */
export interface PublicConnectionStatus {
  readonly remote: string;
  /** Port of the relay that it came to. */
  readonly port: number;
  /** The first name it asked for; empty at a port. */
  readonly name: string;
  readonly server: string;
  readonly tls: "none" | "passed" | "ended";
  /** HTTP requests so far; 0 where the relay does not see them. */
  readonly requests: number;
  readonly bytesUp: number;
  readonly bytesDown: number;
  readonly ageMs: number;
}

/** A connection and by what it is counted: the pattern of the name it reached, or `port` and the listener's. */
export interface PublicVisit {
  readonly site: string;
  readonly connection: PublicConnectionStatus;
}

/** Takes the picture. `visits` are all connections that have reached a device, the oldest first. */
export function publicStatus(parts: {
  readonly listen: readonly string[];
  readonly names: Pick<NameTable, "list">;
  readonly ports: Pick<PortTable, "list">;
  readonly visits: readonly PublicVisit[];
  readonly connectionCount: number;
}): PublicStatus {
  const { listen, names, ports, visits, connectionCount } = parts;
  const open = new Map<string, number>();
  for (const { site } of visits) open.set(site, (open.get(site) ?? 0) + 1);
  const sites = new Map<string, PublicSiteStatus & { servers: string[] }>();
  for (const { pattern, device, policy } of names.list()) {
    const { tls, http } = policy;
    const before = sites.get(pattern);
    const site = before ?? {
      ...{ site: pattern, servers: [], tls, http },
      connections: open.get(pattern) ?? 0,
    };
    if (device.connected) site.servers.push(device.name);
    sites.set(pattern, site);
  }
  for (const { host, port, device } of ports.list()) {
    const site = `port ${formatHostPort({ host, port })}`;
    const servers = device.connected ? [device.name] : [];
    sites.set(site, { site, servers, connections: open.get(portSite(port)) ?? 0 });
  }
  return {
    listen,
    sites: [...sites.values()].slice(0, mostShown),
    siteCount: sites.size,
    connections: visits.slice(-mostShown).map(({ connection }) => connection),
    connectionCount,
  };
}

/** By what connections of a port are counted. */
export function portSite(port: number): string {
  return `port ${port}`;
}

/** Lines of one list: more is for metrics and logs, and no status of a busy relay is megabytes long. */
export const mostShown = 1_000;
