import { lookup } from "node:dns/promises";
import { readFileSync } from "node:fs";
import type {
  ClientConfig,
  HostPort,
  RelayTarget,
  ServerConfig,
  TransportName,
} from "@culvert/config";
import { ConfigError, errorText, InternalError } from "@culvert/runtime";
import { quicDialer, wssDialer, type LookUp, type Transport } from "@culvert/transport";
import type { DaemonContext } from "../daemon/daemon.ts";
import { daemonEngines } from "./engines.ts";
import { explainWss } from "./explain-wss.ts";
import { httpProxyOf } from "./http-proxy-of.ts";

/** The configuration of a daemon that has a relay of ours. */
export type Dialing = (ClientConfig | ServerConfig) & { readonly relay: RelayTarget };

/**
 * Every way to the relay that the configuration asks for, in its order.
 * @throws ConfigError where a file or variable that one of them needs cannot be used.
 */
export function relayTransports(config: Dialing, context: DaemonContext): readonly Transport[] {
  const make: Readonly<Record<TransportName, () => Transport["dial"]>> = {
    quic: () => byQuic(config, context),
    wss: () => byWebSocket(config, context),
    norouter: () => {
      throw new ConfigError(
        "bad_usage",
        "transports: norouter is a session over standard input and output, which a link of the relay begins: culvert agent --stdio",
      );
    },
  };
  return config.transports.map((name) => ({ name, dial: make[name]() }));
}

function byQuic({ relay, quic }: Dialing, context: DaemonContext): Transport["dial"] {
  const { clock, identity } = context;
  return quicDialer(
    { clock, engines: daemonEngines(context), lookUp },
    {
      relay: addressOf(relay.address),
      relayId: relay.id,
      identity,
      policy: quic.policy,
      settings: quic.settings,
    },
  );
}

function byWebSocket({ relay, wss }: Dialing, context: DaemonContext): Transport["dial"] {
  const { clock, random, identity } = context;
  const address = addressOf(relay.wss);
  const dial = wssDialer(
    { clock, random, lookUp },
    {
      relay: address,
      relayId: relay.id,
      identity,
      settings: wss,
      behindProxy: relay.behindProxy,
      ca: relay.caFile === undefined ? undefined : readAuthorities(relay.caFile),
      proxy: httpProxyOf(relay.proxy, address, process.env),
    },
  );
  return (signal) =>
    dial(signal).catch((error: unknown) => {
      throw explainWss(error);
    });
}

/** The configuration has the address of every transport that dials. */
function addressOf(address: HostPort | undefined): HostPort {
  if (address !== undefined) return address;
  throw new InternalError("invariant", "a relay to dial without an address");
}

const lookUp: LookUp = (host) => lookup(host, { all: true });

function readAuthorities(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    throw new ConfigError("unreadable_file", `cannot read relay.caFile: ${errorText(cause)}`, {
      data: { file },
      cause,
    });
  }
}
