import { formatHostPort, type ClientConfig, type ServerConfig } from "@culvert/config";
import { ConfigError, TransportError } from "@culvert/runtime";
import {
  dialTimeoutDefault,
  LinkMetrics,
  linkObserver,
  planDials,
  reconnectDefaults,
  RelayLink,
  type DialPlan,
  type LinkStatus,
  type Session,
} from "@culvert/transport";
import { statusName, tipDefaults, type Expose } from "@culvert/wire";
import type { DaemonContext } from "../daemon/daemon.ts";
import { software } from "../version.ts";
import { relayTransports, type Dialing } from "./transports.ts";

export type { Dialing } from "./transports.ts";

/** How a link presents itself, besides what its configuration says. */
export interface LinkParts {
  readonly services: readonly string[];
  /** Public names and ports to ask for. */
  readonly exposes?: readonly Expose[];
  /** A one-shot session beside the standing one. */
  readonly transient: boolean;
  /** Stays with the transport it began with, since it is over before a better one would be of use. */
  readonly stays?: boolean;
  /** Called when a session is attached. */
  readonly onAttached: () => void;
  /** Called when the link has moved to a better session. */
  readonly onMoved?: () => void;
  /** Called when an attempt failed or was refused; the link tries again by itself. */
  readonly onFailed?: (error: Error) => void;
  /** Takes the streams of each attached session. */
  readonly serve?: (session: Session) => void;
}

/** Makes the link to the relay of a client or server. */
export function buildLink(
  config: ClientConfig | ServerConfig,
  context: DaemonContext,
  parts: LinkParts,
): RelayLink {
  const { clock, random, log, registry } = context;
  const { role, relay, reconnect } = config;
  const { givenSession } = context;
  const plan: DialPlan =
    givenSession ?? planDials(relayTransports(dialingOf(config), context), clock);
  const { better } = plan;
  const observer = linkObserver({
    clock,
    log,
    metrics: new LinkMetrics(registry),
    role,
    relay:
      relay?.address === undefined ? (givenSession?.from ?? "") : formatHostPort(relay.address),
  });
  return new RelayLink(
    {
      clock,
      random,
      dial: plan.dial,
      ...(parts.stays === true || better === undefined ? {} : { better }),
      observer: {
        ...observer,
        attached(session, answer) {
          observer.attached(session, answer);
          parts.onAttached();
        },
        moved(from, to) {
          observer.moved(from, to);
          parts.onMoved?.();
        },
        retrying(error, delay) {
          observer.retrying(error, delay);
          parts.onFailed?.(error);
        },
        refused(status, text, delay) {
          observer.refused(status, text, delay);
          const why = `the relay refused: ${statusName(status)}${text === "" ? "" : `: ${text}`}`;
          parts.onFailed?.(new TransportError("refused", why, { data: { status } }));
        },
      },
      ...(parts.serve === undefined ? {} : { serve: parts.serve }),
    },
    {
      attach: {
        kind: "attach",
        role,
        services: parts.services,
        ...(parts.exposes === undefined ? {} : { exposes: parts.exposes }),
        instanceId: random.bytes(16),
        transient: parts.transient,
        software: software(),
        capabilities: [],
      },
      retry: { ...reconnectDefaults, first: reconnect.first, cap: reconnect.cap },
      moveDrain: reconnect.moveDrain,
      dialTimeout: dialTimeoutDefault,
      tipDeadline: tipDefaults.tipDeadline,
    },
  );
}

/** @throws ConfigError where there is no relay to dial. */
function dialingOf(config: ClientConfig | ServerConfig): Dialing {
  const { relay } = config;
  if (relay !== undefined) return { ...config, relay };
  throw new ConfigError(
    "bad_usage",
    "a client with links is its own relay, for as long as culvert client runs: there is none to dial",
  );
}

/** Why a link cannot carry connections now; empty where it can. */
export function linkReasons(link: LinkStatus): readonly string[] {
  if (link.state === "attached") return [];
  return [`not attached to the relay${link.lastError === undefined ? "" : `: ${link.lastError}`}`];
}
