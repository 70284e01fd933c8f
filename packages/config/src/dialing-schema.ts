import type { PeerId } from "@culvert/identity";
import type { Millis } from "@culvert/runtime";
import { dialKind, type HostPort } from "./address-kinds.ts";
import { anyDuration, waitDuration } from "./common-schema.ts";
import { configDefaults } from "./defaults.ts";
import { optional, required, withDefault } from "./kind.ts";
import { proxyChoiceKind, type ProxyChoice } from "./proxy-kind.ts";
import { booleanKind, pathKind, peerIdKind } from "./scalar-kinds.ts";
import { wssSchema } from "./transport-schema.ts";

/** The relay that a client or server dials. */
export interface RelayTarget {
  /** Where it is by QUIC. */
  readonly address: HostPort;
  readonly id: PeerId;
  /** Where it takes sessions by WebSocket. */
  readonly wss: HostPort;
  /** Whether something else ends TLS before it. */
  readonly behindProxy: boolean;
  /** PEM file of trusted certificates, absolute; undefined = the system's. */
  readonly caFile: string | undefined;
  readonly proxy: ProxyChoice;
}

/** When a link that is down dials again, and when it lets go of a session that it has left. */
export interface ReconnectConfig {
  readonly first: Millis;
  readonly cap: Millis;
  readonly moveDrain: Millis;
}

/** The keys of a daemon that dials a relay of ours. */
export function dialingSchema() {
  return {
    relay: {
      address: required(dialKind, addressDoc),
      id: required(peerIdKind, idDoc),
      ...relayByWebSocketSchema(),
    },
    ...linkSchema(),
  };
}

/** The same for a daemon that may do without such a relay. */
export function maybeDialingSchema() {
  return {
    relay: {
      address: optional(dialKind, `${addressDoc} Required unless transports is telebit alone.`),
      id: optional(peerIdKind, `${idDoc} Required like the address.`),
      ...relayByWebSocketSchema(),
    },
    ...linkSchema(),
  };
}

/** The relay's addresses, complete. */
export function relayTarget<
  T extends { readonly address: HostPort; readonly wss: HostPort | undefined },
>(values: T): T & { readonly wss: HostPort } {
  const wss = values.wss ?? Object.freeze({ host: values.address.host, port: defaultWssPort });
  return Object.freeze({ ...values, wss });
}

function linkSchema() {
  return {
    reconnect: {
      first: withDefault(
        waitDuration,
        configDefaults.reconnectFirst,
        "The wait before the first new attempt; it doubles with each, with jitter.",
      ),
      cap: withDefault(
        waitDuration,
        configDefaults.reconnectCap,
        "The longest wait between attempts.",
      ),
      moveDrain: withDefault(
        anyDuration,
        configDefaults.moveDrain,
        "How long connections may go on by WebSocket after the session has moved to QUIC.",
      ),
    },
    wss: wssSchema(),
  };
}

function relayByWebSocketSchema() {
  return {
    wss: optional(
      dialKind,
      "Where the relay takes sessions by WebSocket (its web.https); port 443 of its host unless given.",
    ),
    behindProxy: withDefault(
      booleanKind,
      "false",
      "Whether a proxy such as nginx ends TLS before the relay; its certificate must then be valid.",
    ),
    caFile: optional(pathKind, "PEM certificates trusted for that proxy instead of the system's."),
    proxy: withDefault(
      proxyChoiceKind,
      "auto",
      "The HTTP proxy through which WebSocket goes out by CONNECT.",
    ),
  };
}

const addressDoc = "Where the relay is, by QUIC.";
const idDoc = "The relay's peer id; no other relay is accepted.";
/** Where firewalls let nearly everybody out. */
const defaultWssPort = 443;
