import { createCertificate, type Identity } from "@culvert/identity";
import type { Clock, Random } from "@culvert/runtime";
import { millis } from "@culvert/runtime";
import { rateLimited, type Log } from "@culvert/telemetry";
import {
  formatHostPort,
  SessionAcceptor,
  type SessionListener,
  type WssSettings,
} from "@culvert/transport";
import type { TelebitRelay } from "../telebit/telebit-relay.ts";
import type { PublicMetrics } from "./metrics.ts";
import { PublicEntrance } from "./public-entrance.ts";
import type { WebOptions } from "./web-options.ts";

/** A relay's web side, started: the public entrance and what lives on it. */
export interface RelayWeb {
  readonly entrance: PublicEntrance;
  /** The sessions by WebSocket that come to the entrance. */
  readonly sessions: SessionListener;
  /** Undefined where the relay serves no Telebit devices. */
  readonly telebit: TelebitRelay | undefined;
}

/** What a relay's web side is made from. */
export interface RelayWebDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: PublicMetrics;
  readonly identity: Identity;
  /** Makes the Telebit side over the entrance's tables; undefined = none. */
  readonly telebit?:
    ((tables: Pick<PublicEntrance, "names" | "ports">) => TelebitRelay) | undefined;
}

/**
 * Starts a relay's web side: binds its listeners, and takes sessions and Telebit devices on the relay's own names.
 * @throws ConfigError and TransportError as {@link PublicEntrance.start}; nothing stays bound then.
 */
export async function startRelayWeb(
  deps: RelayWebDeps,
  options: { readonly web: WebOptions; readonly wss: WssSettings },
): Promise<RelayWeb> {
  const { clock, random, log, metrics, identity } = deps;
  const { web, wss } = options;
  const fallback = await createCertificate(identity, { wallNowMs: clock.wallNowMs() });
  const entrance = new PublicEntrance({ clock, random, log, metrics, fallback }, web);
  const strangersLog = rateLimited(log, clock, refusalRate);
  const acceptor = new SessionAcceptor(
    {
      clock,
      random,
      refused: (remote, error) => {
        strangersLog.warn("relay.session.refused", { remote, reason: error.message });
      },
    },
    { identity, settings: wss },
  );
  entrance.addUpgrades(acceptor.overTls, "https");
  entrance.addUpgrades(acceptor.behindProxy, "plain");
  const telebit = deps.telebit?.(entrance);
  if (telebit !== undefined) {
    entrance.addUpgrades(telebit.upgrades, "https");
    entrance.addUpgrades(telebit.upgrades, "plain");
    entrance.addPages(telebit.pages);
  }
  try {
    await entrance.start();
  } catch (error) {
    acceptor.close();
    throw error;
  }
  return { entrance, telebit, sessions: sessionListener(entrance, acceptor) };
}

function sessionListener(entrance: PublicEntrance, acceptor: SessionAcceptor): SessionListener {
  const secure = entrance.address("https");
  const address = secure ?? entrance.address("plain") ?? { host: "", port: 0 };
  return {
    description: `${secure === undefined ? "ws" : "wss"} ${formatHostPort(address)}`,
    address,
    transport: "mproxy/websocket",
    sessions: acceptor.sessions,
    stats: () => acceptor.stats(),
    close() {
      acceptor.close();
      return Promise.resolve();
    },
  };
}

/** Whoever reaches a listener can provoke any number of warnings. */
const refusalRate = { burst: 20, interval: millis(10_000) };
