import type { Millis } from "@culvert/runtime";
import type { HostPort } from "./address-kinds.ts";
import { clientSchema } from "./client-schema.ts";
import { checkListeners, checkQuic, checkReconnect } from "./cross-checks.ts";
import { quicConfig, type LogConfig, type QuicConfig } from "./common-schema.ts";
import {
  checkRelayAddress,
  relayTarget,
  type ReconnectConfig,
  type RelayTarget,
} from "./dialing-schema.ts";
import type { ForwardConfig } from "./forward-kinds.ts";
import type { ClientLinkConfig } from "./link-kinds.ts";
import { load, type Sources, type SoundValues } from "./load.ts";
import type { Place } from "./place.ts";
import type { Problems } from "./problems.ts";
import { peerIdKind } from "./scalar-kinds.ts";
import type { Secret } from "./secret.ts";
import {
  checkTransports,
  checkWss,
  wssSettings,
  type TransportName,
  type WssSettings,
} from "./transport-schema.ts";

/** A local proxy that a client offers: SOCKS5 or HTTP. */
export interface ProxyConfig {
  readonly listen: HostPort;
  /** Users and passwords; empty = nobody is asked. */
  readonly users: ReadonlyMap<string, Secret>;
}

/** The complete configuration of a client proxy; frozen. */
export interface ClientConfig {
  readonly role: "client";
  /** The file it was read from, absolute. */
  readonly file: string;
  readonly name: string;
  readonly identity: { readonly keyFile: string };
  /** Undefined where there are links, and the client is its own relay. */
  readonly relay: RelayTarget | undefined;
  /** What may carry the session; not empty. */
  readonly transports: readonly TransportName[];
  /** Servers that the client goes to itself. */
  readonly links: readonly ClientLinkConfig[];
  readonly forwards: readonly ForwardConfig[];
  readonly socks: ProxyConfig | undefined;
  readonly httpProxy: ProxyConfig | undefined;
  readonly connectTimeout: Millis;
  /** `listen` undefined = no admin server. */
  readonly admin: { readonly listen: HostPort | undefined };
  readonly control: { readonly socket: string };
  readonly quic: QuicConfig;
  readonly wss: WssSettings;
  readonly limits: { readonly connections: number };
  readonly reconnect: ReconnectConfig;
  readonly drain: Millis;
  readonly log: LogConfig;
  /** The whole of it in the file's words, secrets redacted. */
  readonly effective: Readonly<Record<string, unknown>>;
}

/**
 * Reads the configuration of a client proxy. Forwards given by flag are added to those of the file.
 * @throws ConfigError `unreadable_file`, or `bad_config` listing everything that is wrong.
 */
export function loadClientConfig(sources: Sources): ClientConfig {
  const { values, effective, file } = load(
    "client",
    clientSchema(sources.file),
    sources,
    (values, root, problems) => {
      const { forwards = [], socks, httpProxy, admin, quic, wss, reconnect, transports } = values;
      checkListeners([
        ...(problems.touch("forwards") ? [] : forwards).map(({ listen }, index) => ({
          address: listen,
          place: root.key("forwards").entry(index).key("listen"),
        })),
        { address: socks.listen, place: root.key("socks").key("listen") },
        { address: httpProxy.listen, place: root.key("httpProxy").key("listen") },
        { address: admin.listen, place: root.key("admin").key("listen") },
      ]);
      checkQuic(quic, root.key("quic"));
      checkWss(wss, root.key("wss"));
      checkReconnect(reconnect, root.key("reconnect"));
      checkTransports(transports, root.key("transports"));
      checkRelayOrLinks(values, root, problems);
    },
  );
  const { id } = values.relay;
  return Object.freeze({
    ...values,
    role: "client",
    file,
    relay: id === undefined ? undefined : relayTarget({ ...values.relay, id }),
    quic: quicConfig(values.quic),
    wss: wssSettings(values.wss, values.quic),
    socks: proxy(values.socks),
    httpProxy: proxy(values.httpProxy),
    effective,
  });
}

/** A client has a relay, or links and is its own. */
function checkRelayOrLinks(
  { name: own, relay, transports, links = [] }: SoundValues<ReturnType<typeof clientSchema>>,
  root: Place,
  problems: Problems,
): void {
  if (problems.touch("links")) return;
  const place = root.key("relay");
  if (links.length === 0) {
    checkRelayAddress(transports, relay.address, root, problems);
    if (relay.id === undefined && !problems.list.some(({ path }) => isRelayId(path))) {
      place.key("id").note(`is required: ${peerIdKind.expected}`);
    }
    return;
  }
  if (relay.id !== undefined || relay.address !== undefined) {
    place.note("expected none, since there are links and the client is its own relay, found one");
  }
  for (const [index, { name, id }] of links.entries()) {
    const at = root.key("links").entry(index);
    const sameName = links.findIndex((link) => link.name === name);
    const sameId = links.findIndex((link) => link.id === id);
    if (name === own) at.key("name").note(`${name} is the name of this client too`);
    if (sameName < index) at.key("name").note(`${name} is the name of links[${sameName}] too`);
    if (sameId < index) at.key("id").note(`${id} is the id of links[${sameId}] too`);
  }
}

function isRelayId(path: string): boolean {
  return path === "relay" || path === "relay.id";
}

function proxy(values: {
  readonly listen: HostPort | undefined;
  readonly users: ReadonlyMap<string, Secret> | undefined;
}): ProxyConfig | undefined {
  if (values.listen === undefined) return undefined;
  return Object.freeze({ listen: values.listen, users: values.users ?? new Map<string, Secret>() });
}
