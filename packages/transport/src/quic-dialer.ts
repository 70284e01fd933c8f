import type { Clock } from "@culvert/runtime";
import type { Identity, PeerId } from "@culvert/identity";
import type { QuicEngine, QuicSettings } from "@culvert/quic";
import { connectionAttemptDelay } from "./defaults.ts";
import { chooseDialEngine, type EnginePolicy } from "./engine-choice.ts";
import { dialRace, resolveAddresses, type LookUp } from "./happy-eyeballs.ts";
import type { HostPort } from "./host-port.ts";
import { QuicSession } from "./quic-session.ts";
import type { Session } from "./session.ts";

/** The engines a process has, made when first needed. */
export interface Engines {
  get(name: "quiche" | "quinn"): QuicEngine;
  quinnAvailable(): boolean;
}

/** What dialling a relay by QUIC needs from outside. */
export interface QuicDialerDeps {
  readonly clock: Clock;
  readonly engines: Engines;
  readonly lookUp: LookUp;
}

/** Whom to dial. The name is resolved at every dial. */
export interface QuicDialerOptions {
  readonly relay: HostPort;
  readonly relayId: PeerId;
  readonly identity: Identity;
  readonly policy: EnginePolicy;
  readonly settings: QuicSettings;
}

/** Makes a function that dials the relay once, all its addresses side by side, and gives an authenticated session. */
export function quicDialer(
  deps: QuicDialerDeps,
  options: QuicDialerOptions,
): (signal: AbortSignal) => Promise<Session> {
  const { relay, relayId, identity, policy, settings } = options;
  return async (signal) => {
    const addresses = await resolveAddresses(deps.lookUp, relay);
    return dialRace<Session>(addresses, {
      clock: deps.clock,
      stagger: connectionAttemptDelay,
      signal,
      dial: async (address, attemptSignal) => {
        const { engine, datagramBytes } = chooseDialEngine(policy, address.host, () =>
          deps.engines.quinnAvailable(),
        );
        const connection = await deps.engines.get(engine).dial({
          address,
          identity,
          expectedPeer: relayId,
          settings: { ...settings, datagramBytes },
          signal: attemptSignal,
        });
        return new QuicSession(connection);
      },
      discard: (late) =>
        late.close({ by: "us", code: "too_late", text: "another address was faster" }),
    });
  };
}
