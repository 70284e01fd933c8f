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
import type { BuildOwnRelay } from "./own-relay.ts";

/** Puts together P2; with links, `ownRelay` makes the relay inside it. */
export function buildClient(
  config: ClientConfig,
  context: DaemonContext,
  ownRelay?: BuildOwnRelay,
): Daemon {
  const { clock, random, log, registry } = context;
  let announce: (text: string) => void;
  const ready = new Promise<string>((resolve) => (announce = resolve));
  const own = ownRelay?.(config, context);
  const link = buildLink(
    config,
    own === undefined ? context : { ...context, givenSession: own.session },
    {
      services: [],
      transient: false,
      onAttached: () => announce(`client ${proxy.addresses.join(" ") || config.name}`),
    },
  );
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
    async start() {
      await own?.start();
      await proxy.start();
    },
    notReady: () => [
      ...linkReasons(proxy.status().link),
      ...(own?.links() ?? [])
        .filter(({ state }) => state !== "up")
        .map(
          ({ name, lastError }) =>
            `link ${name} is down${lastError === undefined ? "" : `: ${lastError}`}`,
        ),
    ],
    status: () => ({
      ...proxy.status(),
      name: config.name,
      ...(own === undefined ? {} : { links: own.links() }),
    }),
    drain: () => proxy.drain(),
    async close() {
      try {
        await proxy.close();
      } finally {
        await own?.close();
      }
    },
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
