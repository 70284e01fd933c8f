import { lookup } from "node:dns/promises";
import type { CloseReason } from "@culvert/runtime";
import type { Identity } from "@culvert/identity";
import type { QuicListenerStats, QuicSettings } from "@culvert/quic";
import { chooseListenEngine, type EnginePolicy } from "./engine-choice.ts";
import { resolveAddresses } from "./happy-eyeballs.ts";
import { formatHostPort, type HostPort } from "./host-port.ts";
import type { Engines } from "./quic-dialer.ts";
import { QuicSession } from "./quic-session.ts";
import type { Session } from "./session.ts";

/** A bound address on which sessions arrive. Owned by who listened. */
export interface SessionListener {
  /** How it prints: `udp 127.0.0.1:30380`. */
  readonly description: string;
  readonly address: HostPort;
  /** What carries its sessions: `quic/quinn`. */
  readonly transport: string;
  /** Authenticated sessions, in order; one consumer. Ends when the listener closes. */
  readonly sessions: AsyncIterable<Session>;
  stats(): QuicListenerStats;
  close(): Promise<void>;
}

/** Where and as whom to listen by QUIC. */
export interface QuicListenOptions {
  readonly address: HostPort;
  readonly identity: Identity;
  readonly policy: EnginePolicy;
  readonly settings: QuicSettings;
}

/**
 * Binds one address for QUIC with the engine the policy chooses.
 * @throws ConfigError `refused_engine`; TransportError `address_in_use`, `address_unavailable` or `name_not_found`.
 */
export async function listenQuic(
  engines: Engines,
  options: QuicListenOptions,
): Promise<SessionListener> {
  const { identity, policy, settings } = options;
  const resolved = await resolveAddresses((host) => lookup(host, { all: true }), options.address);
  const address = resolved[0] ?? options.address;
  const { engine, datagramBytes } = chooseListenEngine(policy, address.host, () =>
    engines.quinnAvailable(),
  );
  const listener = await engines
    .get(engine)
    .listen({ address, identity, settings: { ...settings, datagramBytes } });
  return {
    description: `udp ${formatHostPort(listener.address)}`,
    address: listener.address,
    transport: `quic/${listener.engine}`,
    sessions: mapAsync(listener.connections, (connection) => new QuicSession(connection)),
    stats: () => listener.stats(),
    close: () => listener.close(),
  };
}

async function* mapAsync<A, B>(source: AsyncIterable<A>, map: (item: A) => B): AsyncIterable<B> {
  for await (const item of source) yield map(item);
}

/** The reason given to peers when a process stops serving. */
export const shutdownReason: CloseReason = {
  by: "us",
  code: "shutdown",
  text: "the process is ending",
};
