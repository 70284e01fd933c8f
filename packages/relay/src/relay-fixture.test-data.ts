import { generateIdentity, type Identity } from "@culvert/identity";
import { createMemoryNetwork, quicDefaults, type MemoryQuicEngine } from "@culvert/quic";
import { millis, systemClock, type ByteStream } from "@culvert/runtime";
import { createRegistry, silentLog, type Registry } from "@culvert/telemetry";
import {
  QuicSession,
  readTip,
  writeTip,
  type Session,
  type SessionListener,
} from "@culvert/transport";
import { encodeForward, encodeForwardAnswer, Status, type Attach, type Tip } from "@culvert/wire";
import { RelayMetrics } from "./metrics.ts";
import { relayLimitDefaults, type Grant, type KnownPeer, type RelayLimits } from "./options.ts";
import type { PublicGrantList } from "./public-offers/public-grants.ts";
import { Relay } from "./relay.ts";

/** A relay on a memory network, with a client and two servers it knows. */
export interface World {
  readonly relay: Relay;
  readonly registry: Registry;
  readonly engine: MemoryQuicEngine;
  readonly laptop: Identity;
  readonly lanBox: Identity;
  readonly attic: Identity;
  readonly dial: (identity: Identity) => Promise<Session>;
  /** Dials and attaches; fails the test if the relay refuses. */
  readonly attach: (identity: Identity, attach?: Partial<Attach>) => Promise<Session>;
}

export async function createWorld(
  options: {
    grants?: readonly Grant[];
    limits?: Partial<RelayLimits>;
    public?: PublicGrantList;
  } = {},
): Promise<World> {
  const [relayKey, laptop, lanBox, attic] = Array.from({ length: 4 }, () => generateIdentity());
  if (!relayKey || !laptop || !lanBox || !attic) throw new Error("no keys");
  const network = createMemoryNetwork({ clock: systemClock });
  const engine = network.createEngine();
  const settings = { ...quicDefaults, handshakeTimeout: millis(1_000), maxStreams: 64 };
  const registry = createRegistry();
  const peers: KnownPeer[] = [
    { name: "laptop", id: laptop.peerId, role: "client" },
    { name: "lan-box", id: lanBox.peerId, role: "server" },
    { name: "attic", id: attic.peerId, role: "server" },
  ];
  const listener = await engine.listen({
    address: { host: "127.0.0.1", port: 0 },
    identity: relayKey,
    settings,
  });
  const relay = new Relay(
    {
      clock: systemClock,
      log: silentLog,
      metrics: new RelayMetrics(registry),
      listen: () => Promise.resolve([asSessionListener(listener)]),
    },
    {
      peers,
      grants: options.grants ?? [{ client: "laptop", server: "lan-box", services: ["echo", "80"] }],
      limits: { ...relayLimitDefaults, tipDeadline: millis(300), ...options.limits },
      ...(options.public === undefined ? {} : { public: options.public }),
      drainTimeout: millis(500),
      software: "culvert/test",
    },
  );
  await relay.start();
  const dial = async (identity: Identity): Promise<Session> =>
    new QuicSession(
      await network.createEngine().dial({
        address: listener.address,
        identity,
        expectedPeer: relayKey.peerId,
        settings,
      }),
    );
  return {
    relay,
    registry,
    engine,
    laptop,
    lanBox,
    attic,
    dial,
    async attach(identity, attach = {}) {
      const session = await dial(identity);
      const role = identity === laptop ? "client" : "server";
      const answer = await ask(session, attachTip({ role, ...attach }));
      if (answer.kind !== "attachAnswer" || answer.status !== Status.ok) {
        throw new Error(`attach refused: ${JSON.stringify(answer)}`);
      }
      return session;
    },
  };
}

/** An attach as a well-behaved peer sends it. */
export function attachTip(attach: Partial<Attach> = {}): Attach {
  return {
    kind: "attach",
    role: "client",
    services: [],
    instanceId: crypto.getRandomValues(new Uint8Array(16)),
    transient: false,
    software: "culvert/test",
    capabilities: [],
    ...attach,
  };
}

/** A connect as a well-behaved client sends it. */
export function connectTip(server: string, target: string): Tip {
  return {
    kind: "connect",
    server,
    target,
    traceId: new Uint8Array(16).fill(7),
    clientPort: 40_000,
    inner: encodeForward({ clientPort: 40_000, target, capabilities: [] }),
  };
}

/** Opens a stream, says `tip` and reads the answer. */
export async function ask(session: Session, tip: Tip): Promise<Tip> {
  return (await open(session, tip)).answer;
}

/** Like {@link ask}, and keeps the stream. */
export async function open(
  session: Session,
  tip: Tip,
): Promise<{ stream: ByteStream; answer: Tip }> {
  const stream = await session.openStream();
  stream.on("error", () => undefined);
  writeTip(stream, tip);
  const answer = await readTip(stream, { clock: systemClock, deadline: millis(3_000) });
  return { stream, answer };
}

/** Answers the next offer of a server's session. */
export async function answerOffer(
  session: Session,
  status: number = Status.ok,
  text = "",
): Promise<{ stream: ByteStream; offer: Tip }> {
  const taken = await takeOffer(session);
  sayAnswer(taken.stream, status, text);
  return taken;
}

/** Takes the next offer of a server's session, and leaves it without an answer. */
export async function takeOffer(session: Session): Promise<{ stream: ByteStream; offer: Tip }> {
  const next = await session.streams[Symbol.asyncIterator]().next();
  if (next.done === true) throw new Error("session ended");
  const stream = next.value;
  stream.on("error", () => undefined);
  const offer = await readTip(stream, { clock: systemClock, deadline: millis(3_000) });
  return { stream, offer };
}

/** Answers an offer. */
export function sayAnswer(stream: ByteStream, status: number = Status.ok, text = ""): void {
  const inner = encodeForwardAnswer({ status, text, capabilities: [] });
  writeTip(stream, { kind: "answer", status, text, limit: "", inner });
}

function asSessionListener(
  listener: Awaited<ReturnType<MemoryQuicEngine["listen"]>>,
): SessionListener {
  return {
    description: "memory",
    address: listener.address,
    transport: "quic/memory",
    sessions: (async function* () {
      for await (const connection of listener.connections) yield new QuicSession(connection);
    })(),
    stats: () => listener.stats(),
    close: () => listener.close(),
  };
}
