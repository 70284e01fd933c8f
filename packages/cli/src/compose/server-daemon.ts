import type { ServerConfig } from "@culvert/config";
import {
  AllowList,
  dialService,
  EndServerMetrics,
  EndServerProxy,
  exposesOf,
  LocalExit,
} from "@culvert/end-server-proxy";
import { ConfigError } from "@culvert/runtime";
import { tipDefaults } from "@culvert/wire";
import type { Daemon, DaemonContext } from "../daemon/daemon.ts";
import { exposeRules } from "../expose/expose-rules.ts";
import { buildLink, linkReasons } from "./dialing.ts";

/** Puts together P4. */
export function buildServer(config: ServerConfig, context: DaemonContext): Daemon {
  const { clock, log, registry } = context;
  const { relay } = config;
  if (relay === undefined) {
    throw new ConfigError("bad_config", "transports: a session to a relay needs quic or wss");
  }
  const allowList = new AllowList({ services: config.services, rules: config.allow });
  const exposes = exposeRules(config);
  let announce: (text: string) => void;
  const ready = new Promise<string>((resolve) => (announce = resolve));
  const proxy = new EndServerProxy(
    {
      clock,
      log,
      metrics: new EndServerMetrics(registry),
      exit: new LocalExit({ clock }, { allowList, connectTimeout: config.connectTimeout }),
      dialService: (to, signal) =>
        dialService(to, { clock, timeout: config.connectTimeout, signal }),
      link: (serve) =>
        buildLink({ ...config, relay }, context, {
          services: [...config.services.keys()],
          exposes: exposesOf(exposes),
          transient: false,
          serve,
          onAttached: () => announce(`server ${config.name}`),
        }),
    },
    {
      maxConnections: config.limits.connections,
      tipDeadline: tipDefaults.tipDeadline,
      drainTimeout: config.drain,
      exposes,
    },
  );
  return {
    ready,
    start() {
      proxy.start();
      return Promise.resolve();
    },
    notReady: () => linkReasons(proxy.status().link),
    status: () => ({ ...proxy.status(), name: config.name }),
    drain: () => proxy.drain(),
    close: () => proxy.close(),
  };
}
