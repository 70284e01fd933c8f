import { readFileSync } from "node:fs";
import { formatHostPort, type ServerConfig, type TelebitDeviceConfig } from "@culvert/config";
import {
  ConnectionLedger,
  dialService,
  dialTelebit,
  PublicDesk,
  TelebitDevice,
  TelebitMetrics,
  type EndServerMetrics,
} from "@culvert/end-server-proxy";
import { readPrivateFile } from "@culvert/identity";
import { ConfigError, errorText, millis } from "@culvert/runtime";
import { rateLimited } from "@culvert/telemetry";
import { dialTimeoutDefault, type HostPort, type HttpProxy } from "@culvert/transport";
import type { DaemonContext } from "../daemon/daemon.ts";
import { httpProxyOf } from "./http-proxy-of.ts";
import { exposeRules, serviceTarget } from "../expose/expose-rules.ts";

/**
 * Puts together a device of a Telebit relay.
 * @throws ConfigError `unreadable_file` where its certificate authorities cannot be read.
 */
export function buildTelebitDevice(
  config: ServerConfig,
  telebit: TelebitDeviceConfig,
  { clock, random, log: fullLog, registry }: DaemonContext,
  metrics: EndServerMetrics,
): TelebitDevice {
  // Strangers can provoke any number of warnings.
  const log = rateLimited(fullLog, clock, warningRate);
  const { protocol, address } = telebit.relay;
  const { connectTimeout, services, reconnect } = config;
  const ssh = telebit.ssh === undefined ? undefined : serviceTarget(telebit.ssh, services);
  const rules = exposeRules(config).map((rule) => ({ ...rule, ssh: rule.ssh ?? ssh }));
  const ca = telebit.caFile === undefined ? undefined : readAuthorities(telebit.caFile);
  const desk = new PublicDesk(
    {
      clock,
      log,
      ledger: new ConnectionLedger({ clock, log, metrics }),
      dial: (to, signal) => dialService(to, { clock, timeout: connectTimeout, signal }),
    },
    rules,
  );
  const relay = { tls: protocol === "https", host: address.host, port: address.port };
  // Read now, so that a proxy that is none is told at the start.
  const proxyOf = (target: HostPort): HttpProxy | undefined =>
    httpProxyOf(telebit.proxy, target, process.env);
  proxyOf(address);
  return new TelebitDevice(
    {
      clock,
      random,
      log,
      metrics: new TelebitMetrics(registry),
      desk,
      dial: (signal) => dialTelebit(clock, { relay, ca, proxyOf }, signal),
      tokens: () => readTokens(telebit.tokenFile),
    },
    {
      relay: `${protocol}://${formatHostPort(address)}`,
      maxConnections: config.limits.connections,
      retry: { ...reconnect, factor: 2 },
      dialTimeout: dialTimeoutDefault,
      drainTimeout: config.drain,
    },
  );
}

const warningRate = { burst: 20, interval: millis(10_000) };

/** One token a line. */
async function readTokens(file: string): Promise<readonly string[]> {
  const content = await readPrivateFile(file, "token file");
  const tokens = content
    .toString("utf8")
    .split(/\s+/)
    .filter((token) => token !== "");
  if (tokens.length > 0) return tokens;
  throw new ConfigError("bad_key", `${file} has no token`);
}

function readAuthorities(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new ConfigError("unreadable_file", `telebit.caFile: ${errorText(error)}`, {
      cause: error,
    });
  }
}
