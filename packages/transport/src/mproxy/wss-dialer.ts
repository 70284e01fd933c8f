import type { Duplex } from "node:stream";
import type { Identity, PeerId } from "@culvert/identity";
import { withDeadline, type Clock, type Random } from "@culvert/runtime";
import { connectionAttemptDelay } from "../defaults.ts";
import { dialRace, resolveAddresses, type LookUp } from "../happy-eyeballs.ts";
import { formatHostPort, type HostPort } from "../host-port.ts";
import type { Session } from "../session.ts";
import { dialCarrier } from "./dial-carrier.ts";
import type { HttpProxy } from "./http-proxy.ts";
import { connectThroughProxy } from "./http-proxy-connect.ts";
import type { WssSettings } from "./wss-settings.ts";
import { connectOverTls, connectTcp, upgradeToWebSocket } from "./wss-connect.ts";

/** What dialling a relay by WebSocket needs from outside. */
export interface WssDialerDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly lookUp: LookUp;
}

/** Whom to dial, and how. Names are resolved at every dial. */
export interface WssDialerOptions {
  readonly relay: HostPort;
  readonly relayId: PeerId;
  readonly identity: Identity;
  readonly settings: WssSettings;
  /**
   * Whether a proxy that ends TLS may stand before the relay. Its certificate must then be valid for the relay's name, since the proof
   * of identity no longer covers the channel (PROTOCOL.md §12.3).
   */
  readonly behindProxy: boolean;
  /** Certificate authorities for that instead of the system's, PEM. */
  readonly ca?: string | undefined;
  /** The HTTP proxy to go out through. The relay's name is then resolved there. */
  readonly proxy?: HttpProxy | undefined;
}

/** Makes a function that dials the relay once, all its addresses (or its proxy's) side by side, and gives an authenticated session. */
export function wssDialer(
  deps: WssDialerDeps,
  options: WssDialerOptions,
): (signal: AbortSignal) => Promise<Session> {
  const { clock, lookUp } = deps;
  const first = options.proxy?.address ?? options.relay;
  return async (signal) => {
    const addresses = await resolveAddresses(lookUp, first);
    return dialRace<Session>(addresses, {
      clock,
      stagger: connectionAttemptDelay,
      signal,
      dial: (address, attemptSignal) => dialAddress(deps, options, address, attemptSignal),
      discard: (late) =>
        late.close({ by: "us", code: "too_late", text: "another address was faster" }),
    });
  };
}

/** One attempt, from TCP to a proved peer, within the handshake time-out. */
function dialAddress(
  deps: WssDialerDeps,
  options: WssDialerOptions,
  address: HostPort,
  signal: AbortSignal,
): Promise<Session> {
  return withDeadline(
    {
      clock: deps.clock,
      limit: options.settings.handshakeTimeout,
      what: `session by WebSocket with ${formatHostPort(address)}`,
      signal,
      discard: (late) => late.close({ by: "us", code: "too_late", text: "dialled too slowly" }),
    },
    async (ended) => {
      const { clock } = deps;
      const { relay, behindProxy, ca } = options;
      const way = await connect(options, address, ended);
      const secure = await connectOverTls(
        way,
        {
          host: relay.host,
          verify: behindProxy,
          ca,
          minVersion: behindProxy ? "TLSv1.2" : "TLSv1.3",
        },
        ended,
      );
      const remote = formatHostPort(options.proxy === undefined ? address : relay);
      const upgrade = { clock, target: relay, tls: true, readBetween: behindProxy, remote };
      const carrier = await upgradeToWebSocket(secure, upgrade, ended);
      const { relayId, identity, settings } = options;
      const trustsBetween = behindProxy;
      return dialCarrier(deps, {
        carrier,
        relayId,
        identity,
        settings,
        trustsBetween,
        signal: ended,
      });
    },
  );
}

async function connect(
  { proxy, relay }: WssDialerOptions,
  address: HostPort,
  signal: AbortSignal,
): Promise<Duplex> {
  const socket = await connectTcp(address, signal);
  return proxy === undefined ? socket : connectThroughProxy(socket, proxy, relay, signal);
}
