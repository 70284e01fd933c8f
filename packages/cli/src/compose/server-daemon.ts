import type { ServerConfig } from "@culvert/config";
import {
  AllowList,
  dialService,
  EndServerMetrics,
  EndServerProxy,
  exposesOf,
  LocalExit,
  type TelebitDevice,
} from "@culvert/end-server-proxy";
import { tipDefaults } from "@culvert/wire";
import type { Daemon, DaemonContext } from "../daemon/daemon.ts";
import { exposeRules } from "../expose/expose-rules.ts";
import { buildLink, linkReasons } from "./dialing.ts";
import { buildTelebitDevice } from "./telebit-device.ts";

/** Puts together P4: attached to a relay of ours, to a Telebit relay, or to both. */
export function buildServer(config: ServerConfig, context: DaemonContext): Daemon {
  let announce: (text: string) => void;
  const ready = new Promise<string>((resolve) => (announce = resolve));
  const onAttached = (): void => announce(`server ${config.name}`);
  const metrics = new EndServerMetrics(context.registry);
  const { telebit } = config;
  const proxy = buildProxy(config, context, metrics, onAttached);
  const device =
    telebit === undefined ? undefined : buildTelebitDevice(config, telebit, context, metrics);
  void device?.ready.then(onAttached);
  return {
    ready,
    start() {
      proxy?.start();
      device?.start();
      return Promise.resolve();
    },
    notReady: () => [
      ...(proxy === undefined ? [] : linkReasons(proxy.status().link)),
      ...telebitReasons(device),
    ],
    status: () => ({
      role: "server",
      name: config.name,
      ...proxy?.status(),
      ...(device === undefined ? {} : { telebit: device.status() }),
    }),
    async drain() {
      await Promise.all([proxy?.drain(), device?.drain()]);
    },
    async close() {
      await Promise.all([proxy?.close(), device?.close()]);
    },
  };
}

function buildProxy(
  config: ServerConfig,
  context: DaemonContext,
  metrics: EndServerMetrics,
  onAttached: () => void,
): EndServerProxy | undefined {
  const { clock, log } = context;
  const { relay } = config;
  if (relay === undefined) return undefined;
  const allowList = new AllowList({ services: config.services, rules: config.allow });
  const exposes = exposeRules(config);
  return new EndServerProxy(
    {
      clock,
      log,
      metrics,
      exit: new LocalExit({ clock }, { allowList, connectTimeout: config.connectTimeout }),
      dialService: (to, signal) =>
        dialService(to, { clock, timeout: config.connectTimeout, signal }),
      link: (serve) =>
        buildLink({ ...config, relay }, context, {
          services: [...config.services.keys()],
          exposes: exposesOf(exposes),
          transient: false,
          serve,
          onAttached,
        }),
    },
    {
      maxConnections: config.limits.connections,
      tipDeadline: tipDefaults.tipDeadline,
      drainTimeout: config.drain,
      exposes,
    },
  );
}

function telebitReasons(device: TelebitDevice | undefined): readonly string[] {
  if (device === undefined) return [];
  const { state, relay, lastError } = device.status();
  if (state === "attached") return [];
  return [`not attached to ${relay}${lastError === undefined ? "" : `: ${lastError}`}`];
}
