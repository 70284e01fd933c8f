import type { RelayConfig } from "@culvert/config";
import { Relay, RelayMetrics } from "@culvert/relay";
import { errorText, systemCode, TransportError } from "@culvert/runtime";
import { listenQuic, type SessionListener } from "@culvert/transport";
import type { Daemon, DaemonContext } from "../daemon/daemon.ts";
import { software } from "../version.ts";
import { daemonEngines } from "./engines.ts";
import type { relayLinks } from "./relay-links.ts";
import type { relayWeb } from "./relay-web.ts";

/** The parts of a relay that only some configurations have; their code is loaded for those alone. */
export interface RelayParts {
  readonly links?: typeof relayLinks | undefined;
  readonly web?: typeof relayWeb | undefined;
}

/** Loads the parts that the configuration asks for. */
export async function loadRelayParts(config: RelayConfig): Promise<RelayParts> {
  const { links, web, public: granted } = config;
  const listeners = [...web.https, ...web.http, ...web.plain, ...granted.ports];
  const [linkPart, webPart] = await Promise.all([
    links.length > 0 ? import("./relay-links.ts") : undefined,
    listeners.length > 0 ? import("./relay-web.ts") : undefined,
  ]);
  return { links: linkPart?.relayLinks, web: webPart?.relayWeb };
}

/** Puts together P3. */
export function buildRelay(
  config: RelayConfig,
  context: DaemonContext,
  { links, web }: RelayParts,
): Daemon {
  const { clock, log, registry } = context;
  const relay = new Relay(
    {
      clock,
      log,
      metrics: new RelayMetrics(registry),
      listen: () => listenAll(config, context),
      links: links?.(config, context),
      web: web === undefined ? undefined : () => web(config, context),
    },
    {
      peers: config.peers,
      grants: config.grants,
      limits: config.limits,
      public: config.public,
      drainTimeout: config.drain,
      software: software(),
    },
  );
  let announce: (text: string) => void;
  const ready = new Promise<string>((resolve) => (announce = resolve));
  let listening = false;
  return {
    ready,
    async start() {
      await relay.start();
      listening = true;
      const linkNames = config.links.map(({ name }) => `link ${name}`);
      announce(`relay ${[...relay.addresses, ...linkNames].join(" ")}`);
    },
    notReady: () => (listening ? [] : ["not listening yet"]),
    status: () => relay.status(),
    drain: () => relay.drain(),
    close: () => relay.close(),
  };
}

/** Binds every address, or none. */
async function listenAll(
  config: RelayConfig,
  context: DaemonContext,
): Promise<readonly SessionListener[]> {
  const engines = daemonEngines(context);
  const { identity, log } = context;
  const { policy, settings } = config.quic;
  const listeners: SessionListener[] = [];
  try {
    for (const address of config.listen) {
      try {
        listeners.push(await listenQuic(engines, { address, identity, policy, settings }));
      } catch (error) {
        if (!isFamilyMissing(error) || config.listen.length === 1) throw error;
        log.warn("config.warning", { warning: `listen: ${errorText(error)}` });
      }
    }
    if (listeners.length === 0 && config.listen.length > 0) {
      throw new TransportError(
        "address_unavailable",
        "none of the addresses of listen can be used",
      );
    }
    return listeners;
  } catch (error) {
    await Promise.allSettled(listeners.map((listener) => listener.close()));
    throw error;
  }
}

/** Whether an address failed because this machine has no IPv6, or no IPv4. */
function isFamilyMissing(error: unknown): boolean {
  const cause = error instanceof TransportError ? error.cause : error;
  return systemCode(cause) === "EAFNOSUPPORT" || systemCode(cause) === "EADDRNOTAVAIL";
}
