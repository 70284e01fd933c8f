import {
  ClientMetrics,
  ClientProxy,
  HttpConnectEntrance,
  PortMapping,
  Socks5Entrance,
  type Connector,
  type Entrance,
} from "@culvert/client-proxy";
import type { ClientConfig } from "@culvert/config";
import type { Daemon, DaemonContext } from "../daemon/daemon.ts";
import { buildLink, linkReasons } from "./dialing.ts";

/** Puts together P2. */
export function buildClient(config: ClientConfig, context: DaemonContext): Daemon {
  const { clock, random, log, registry } = context;
  let announce: (text: string) => void;
  const ready = new Promise<string>((resolve) => (announce = resolve));
  const link = buildLink(config, context, {
    services: [],
    transient: false,
    onAttached: () => announce(`client ${proxy.addresses.join(" ") || config.name}`),
  });
  const proxy: ClientProxy = new ClientProxy(
    {
      clock,
      random,
      log,
      metrics: new ClientMetrics(registry),
      link,
      entrances: (connector) => buildEntrances(config, context, connector),
    },
    { answerTimeout: config.connectTimeout, drainTimeout: config.drain },
  );
  return {
    ready,
    start: () => proxy.start(),
    notReady: () => linkReasons(proxy.status().link),
    status: () => ({ ...proxy.status(), name: config.name }),
    drain: () => proxy.drain(),
    close: () => proxy.close(),
  };
}

/** Everything that listens locally, in the order of the configuration: forwards, SOCKS5, HTTP. */
function buildEntrances(
  config: ClientConfig,
  { clock, log }: DaemonContext,
  connector: Connector,
): readonly Entrance[] {
  const deps = { connector, log, clock };
  const { forwards, socks, httpProxy, limits } = config;
  const maxConnections = limits.connections;
  const entrances: Entrance[] = forwards.map(
    ({ listen, to }) => new PortMapping(deps, { ...listen, ...to, maxConnections }),
  );
  if (socks !== undefined) {
    const { listen, users } = socks;
    entrances.push(new Socks5Entrance(deps, { ...listen, users, maxConnections }));
  }
  if (httpProxy !== undefined) {
    const { listen, users } = httpProxy;
    entrances.push(new HttpConnectEntrance(deps, { ...listen, users, maxConnections }));
  }
  return entrances;
}
