import { generateIdentity } from "@culvert/identity";
import { systemClock, type Clock } from "@culvert/runtime";
import { memoryCarrierPair, type MemoryCarrierOptions, type SessionPair } from "@culvert/testkit";
import type { Carrier } from "./carrier.ts";
import { MproxySession } from "./mproxy-session.ts";
import type { TunnelSettings } from "./tunnel-api.ts";
import { tunnelDefaults } from "./tunnel-defaults.ts";
import { MproxyTunnel } from "./tunnel.ts";

/** What a test may set of a pair of sessions. */
export interface SessionPairOptions {
  readonly clock?: Clock;
  readonly settings?: Partial<TunnelSettings>;
  readonly carrier?: MemoryCarrierOptions;
  readonly carriers?: readonly [Carrier, Carrier];
}

/** A pair whose tunnels can be looked into. */
export interface MproxySessionPair extends SessionPair {
  readonly client: MproxySession;
  readonly server: MproxySession;
}

/** Two ends of a session over carriers joined in memory, their identities taken as proved. */
export function sessionPair(options: SessionPairOptions = {}): MproxySessionPair {
  const { clock = systemClock, settings = {} } = options;
  const [near, far] = options.carriers ?? memoryCarrierPair(options.carrier);
  const [clientId, serverId] = [generateIdentity().peerId, generateIdentity().peerId];
  const { windowBytes, maxStreams } = { ...tunnelDefaults, ...settings };
  const agreement = { sendWindowBytes: windowBytes, maxStreams };
  const dialler = new MproxyTunnel(
    { carrier: near, clock },
    { dialect: "culvert-dialler", settings },
  );
  const listener = new MproxyTunnel(
    { carrier: far, clock },
    { dialect: "culvert-listener", settings },
  );
  const done = { by: "us", code: "done", text: "the test is over" } as const;
  return {
    client: new MproxySession({ tunnel: dialler, peer: serverId, agreement, maxStreams }),
    server: new MproxySession({ tunnel: listener, peer: clientId, agreement, maxStreams }),
    clientId,
    serverId,
    release() {
      dialler.close(done);
      listener.close(done);
    },
  };
}
