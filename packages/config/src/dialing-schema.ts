import type { PeerId } from "@culvert/identity";
import type { Millis } from "@culvert/runtime";
import { dialKind, type HostPort } from "./address-kinds.ts";
import { anyDuration, waitDuration } from "./common-schema.ts";
import { configDefaults } from "./defaults.ts";
import { optional, withDefault } from "./kind.ts";
import { proxyChoiceKind, type ProxyChoice } from "./proxy-kind.ts";
import { booleanKind, pathKind, peerIdKind } from "./scalar-kinds.ts";
import type { Place } from "./place.ts";
import type { Problems } from "./problems.ts";
import { isDialled, wssSchema } from "./transport-schema.ts";

/** The relay that a client or server dials. */
export interface RelayTarget {
  /** Where it is by QUIC; undefined where it is not dialled. */
  readonly address: HostPort | undefined;
  readonly id: PeerId;
  /** Where it takes sessions by WebSocket; undefined where it is not dialled. */
  readonly wss: HostPort | undefined;
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
      address: optional(
        dialKind,
        `${addressDoc} Required unless transports is norouter, or there are links.`,
      ),
      id: optional(peerIdKind, `${idDoc} Required unless there are links.`),
      ...relayByWebSocketSchema(),
    },
    ...linkSchema(),
  };
}

/** The same for a daemon that may do without such a relay. */
export function maybeDialingSchema() {
  return {
    relay: {
      address: optional(dialKind, `${addressDoc} Required where transports has quic or wss.`),
      id: optional(peerIdKind, `${idDoc} Required unless transports is telebit alone.`),
      ...relayByWebSocketSchema(),
    },
    ...linkSchema(),
  };
}

/** The relay's addresses, complete. */
export function relayTarget<
  T extends { readonly address: HostPort | undefined; readonly wss: HostPort | undefined },
>(values: T): T {
  const { address } = values;
  if (values.wss !== undefined || address === undefined) return Object.freeze(values);
  const wss = Object.freeze({ host: address.host, port: defaultWssPort });
  return Object.freeze({ ...values, wss });
}

/** Notes a relay without an address where it is to be dialled. */
export function checkRelayAddress(
  transports: readonly string[] | undefined,
  address: HostPort | undefined,
  root: Place,
  problems: Problems,
): void {
  if (address !== undefined || transports?.some(isDialled) !== true) return;
  if (problems.list.some(({ path }) => path === "relay" || path === "relay.address")) return;
  root.key("relay").key("address").note(`is required: ${dialKind.expected}`);
}

function linkSchema() {
  return {
    reconnect: {
      first: withDefault(
        waitDuration,
        configDefaults.reconnectFirst,
        "The wait before the first new attempt; it grows by a quarter with each, with jitter.",
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
