import type { RelayConfig } from "@culvert/config";
import type { TelebitPolicy, TelebitRelay } from "@culvert/relay/telebit";
import {
  PublicMetrics,
  startRelayWeb,
  webLimitDefaults,
  type PublicEntrance,
  type RelayWeb,
} from "@culvert/relay/web";
import type { DaemonContext } from "../daemon/daemon.ts";

/** Starts a relay's web side. */
export async function relayWeb(config: RelayConfig, context: DaemonContext): Promise<RelayWeb> {
  const { web, limits, wss } = config;
  const { clock, random, log, registry, identity } = context;
  return startRelayWeb(
    {
      clock,
      random,
      log,
      identity,
      metrics: new PublicMetrics(registry),
      telebit: await telebitOf(config, context),
    },
    {
      wss,
      web: {
        ...web,
        limits: {
          ...webLimitDefaults,
          handshakes: web.maxHandshakes,
          handshakesPerAddress: Math.min(web.maxHandshakes, webLimitDefaults.handshakesPerAddress),
          connections: limits.publicConnections,
          connectionsPerAddress: Math.min(
            limits.publicConnections,
            webLimitDefaults.connectionsPerAddress,
          ),
          openTimeout: limits.connectTimeout,
        },
      },
    },
  );
}

async function telebitOf(
  config: RelayConfig,
  { clock, log, registry, identity }: DaemonContext,
): Promise<((tables: Pick<PublicEntrance, "names" | "ports">) => TelebitRelay) | undefined> {
  const { telebit, web } = config;
  if (telebit === undefined) return undefined;
  const { loadSecretFile, telebitLimitDefaults, TelebitMetrics, TelebitRelay, TokenVerifier } =
    await import("@culvert/relay/telebit");
  const verifier = new TokenVerifier(clock, {
    secret: await loadSecretFile(telebit.secretFile),
    policy: telebit,
    policyOfPeer: (peer) => policyOfPeer(config, peer),
    audience: identity.peerId,
  });
  const metrics = new TelebitMetrics(registry);
  return ({ names, ports }) =>
    new TelebitRelay(
      { clock, log, metrics, verifier, names, ports },
      {
        limits: telebitLimitDefaults,
        portHost: web.https[0]?.host ?? web.plain[0]?.host ?? "127.0.0.1",
        publicHost: web.names[0] ?? "localhost",
        // Real devices end TLS themselves, and answer ACME challenges in clear.
        policy: { tls: "pass", http: "redirect" },
      },
    );
}

/** A server may write tokens for what the configuration grants it anyway. */
function policyOfPeer(config: RelayConfig, id: string): TelebitPolicy | undefined {
  const server = config.peers.find((peer) => peer.id === id && peer.role === "server")?.name;
  if (server === undefined) return undefined;
  const grants = config.public.names.filter((grant) => grant.server === server);
  // Granted ports are bound for the server's sessions already.
  return { domains: grants.flatMap(({ names }) => names), ports: [] };
}
