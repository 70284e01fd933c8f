import type { ClientConfig } from "@culvert/config";
import { createMemoryNetwork } from "@culvert/quic";
import { Relay, relayLimitDefaults, RelayMetrics } from "@culvert/relay";
import { ConfigError, TransportError } from "@culvert/runtime";
import { QuicSession, type CommandLinkStatus, type SessionListener } from "@culvert/transport";
import type { DaemonContext, GivenSession } from "../daemon/daemon.ts";
import { software } from "../version.ts";
import { commandLinks } from "./command-links.ts";

/** The relay inside a client that has links: nobody but itself and the servers it goes to can reach it. */
export interface OwnRelay {
  /** How the client attaches to it. */
  readonly session: GivenSession;
  start(): Promise<void>;
  links(): readonly CommandLinkStatus[];
  close(): Promise<void>;
}

/** Makes an {@link OwnRelay}. */
export type BuildOwnRelay = (config: ClientConfig, context: DaemonContext) => OwnRelay;

/**
 * Puts together the relay of a client with links.
 * @throws ConfigError `bad_config` where a link leads to the client itself.
 */
export function ownRelay(config: ClientConfig, context: DaemonContext): OwnRelay {
  const { links, name, quic, drain } = config;
  const { clock, random, log, registry, identity } = context;
  const self = links.findIndex(({ id }) => id === identity.peerId);
  if (self >= 0) {
    throw new ConfigError(
      "bad_config",
      `links[${self}].id: ${identity.peerId} is this client's own; the server at the other end needs a key of its own`,
      { data: { file: config.file } },
    );
  }
  const engine = createMemoryNetwork({ clock }).createEngine();
  const { settings } = quic;
  const commands = commandLinks(
    config,
    context,
    links.map(({ name: peer, command, id }) => ({ name: peer, command, peer: id })),
  );
  let listener: SessionListener | undefined;
  const listen = async (): Promise<readonly SessionListener[]> => {
    const address = { host: "127.0.0.1", port: 0 };
    const bound = await engine.listen({ address, identity, settings });
    listener = {
      description: "this process",
      address: bound.address,
      transport: "memory",
      sessions: sessionsOf(bound.connections),
      stats: () => bound.stats(),
      close: () => bound.close(),
    };
    return [listener];
  };
  const relay = new Relay(
    { clock, log, random, metrics: new RelayMetrics(registry), listen, links: commands },
    {
      peers: [
        { name, id: identity.peerId, role: "client" },
        ...links.map((link) => ({ name: link.name, id: link.id, role: "server" as const })),
      ],
      grants: [{ client: name, server: "*", services: ["*"] }],
      limits: relayLimitDefaults,
      drainTimeout: drain,
      software: software(),
    },
  );
  return {
    start: () => relay.start(),
    links: () => commands.status(),
    close: () => relay.close(),
    session: {
      from: "this process",
      over: new Promise(() => undefined),
      async dial() {
        if (listener === undefined) throw new TransportError("no_session", "not started yet");
        const expectedPeer = identity.peerId;
        const { address } = listener;
        return new QuicSession(await engine.dial({ address, identity, expectedPeer, settings }));
      },
    },
  };
}

async function* sessionsOf<C extends ConstructorParameters<typeof QuicSession>[0]>(
  connections: AsyncIterable<C>,
): AsyncIterable<QuicSession> {
  for await (const connection of connections) yield new QuicSession(connection);
}
