import { generateIdentity } from "@culvert/identity";
import { createMemoryNetwork, quicDefaults } from "@culvert/quic";
import { millis, sleep, type ByteStream, type CloseReason, type Millis } from "@culvert/runtime";
import { seededRandom, VirtualClock } from "@culvert/testkit";
import { Capability, Status, type Attach } from "@culvert/wire";
import { afterEach, describe, expect, it } from "vitest";
import { answerAndEnd } from "./answer-and-end.ts";
import { linkStatus } from "./link-status.ts";
import { QuicSession } from "./quic-session.ts";
import { RelayLink } from "./relay-link.ts";
import type { Session } from "./session.ts";
import { readTip } from "./tip-io.ts";
import { planDials, type Transport } from "./transport-race.ts";

/** A session as the relay has it, and what was said on it first. */
interface Seen {
  readonly by: Transport["name"];
  readonly session: Session;
  readonly attach: Attach;
}

interface Scene {
  readonly clock: VirtualClock;
  readonly link: RelayLink;
  readonly seen: Seen[];
  readonly events: string[];
  /** When each attempt by QUIC began. */
  readonly attempts: Millis[];
  readonly served: Session[];
  /** Whether datagrams vanish. */
  blocked: boolean;
  /** What the relay answers to an attach. */
  status: number;
}

let scenes: Scene[] = [];

afterEach(async () => {
  for (const { link, clock } of scenes) {
    const stopped = link.stop({ by: "us", code: "done", text: "test over" });
    await clock.advance(10_000);
    await stopped;
  }
  scenes = [];
});

/** A link whose QUIC is blocked at first, and a relay that it reaches by WebSocket; both are memory networks here. */
async function scene(
  options: { readonly capabilities?: readonly number[]; readonly moveDrain?: number } = {},
): Promise<Scene> {
  const clock = new VirtualClock();
  const relay = generateIdentity();
  const client = generateIdentity();
  const seen: Seen[] = [];
  const attempts: Millis[] = [];
  const transport = async (name: Transport["name"]): Promise<Transport> => {
    const network = createMemoryNetwork({ clock });
    const listener = await network.createEngine().listen({
      address: { host: "127.0.0.1", port: 0 },
      identity: relay,
      settings: quicDefaults,
    });
    const welcome = async (session: Session): Promise<void> => {
      const first = await session.streams[Symbol.asyncIterator]().next();
      const stream = first.value as ByteStream;
      stream.on("error", () => undefined);
      const attach = (await readTip(stream, { clock, deadline: millis(1_000) })) as Attach;
      seen.push({ by: name, session, attach });
      const { status } = made;
      const capabilities = options.capabilities ?? [Capability.move];
      const answer = { status, text: "", name: "laptop", software: "", capabilities };
      answerAndEnd(stream, { kind: "attachAnswer", ...answer }, clock);
    };
    void (async () => {
      for await (const connection of listener.connections)
        void welcome(new QuicSession(connection));
    })();
    const engine = network.createEngine();
    return {
      name,
      async dial(signal) {
        if (name === "quic") attempts.push(clock.now());
        if (name === "quic" && made.blocked) {
          await sleep(clock, millis(5_000), signal);
          throw new Error("no answer within 5s");
        }
        const dialled = { address: listener.address, identity: client, settings: quicDefaults };
        return new QuicSession(
          await engine.dial({ ...dialled, expectedPeer: relay.peerId, signal }),
        );
      },
    };
  };
  const events: string[] = [];
  const served: Session[] = [];
  const plan = planDials([await transport("quic"), await transport("wss")], clock);
  const link = new RelayLink(
    {
      clock,
      random: seededRandom(1),
      ...plan,
      serve: (session) => served.push(session),
      observer: {
        dialing: () => undefined,
        retrying: (error) => events.push(`retrying ${error.message}`),
        refused: (status) => events.push(`refused ${status}`),
        attached: () => events.push("attached"),
        detached: ({ code }) => events.push(`detached ${code}`),
        moved: () => events.push("moved"),
        notMoved: () => undefined,
        left: (_session, { code }) => events.push(`left ${code}`),
      },
    },
    {
      attach: {
        kind: "attach",
        role: "client",
        services: [],
        instanceId: new Uint8Array(16).fill(5),
        transient: false,
        software: "culvert/test",
        capabilities: [],
      },
      retry: { first: millis(100), cap: millis(1_000), factor: 2 },
      dialTimeout: millis(6_000),
      tipDeadline: millis(5_000),
      moveDrain: millis(options.moveDrain ?? 600_000),
    },
  );
  const made: Scene = {
    clock,
    link,
    seen,
    events,
    attempts,
    served,
    blocked: true,
    status: Status.ok,
  };
  scenes.push(made);
  return made;
}

/** Opens a stream that stays open. */
async function hold(session: Session | undefined): Promise<ByteStream> {
  const stream = await session!.openStream();
  stream.on("error", () => undefined);
  stream.write("hello");
  return stream;
}

describe("a link that came by the lesser transport", () => {
  it("moves when the better one works, and its open streams stay where they are", async () => {
    const at = await scene();
    at.link.start();
    await at.clock.advance(400);
    expect(at.events).toEqual(["attached"]);
    const old = at.link.session!;
    const stream = await hold(old);
    at.blocked = false;
    await at.clock.advance(12_000);
    expect(at.events).toEqual(["attached", "moved"]);
    expect(at.seen.map(({ by }) => by)).toEqual(["wss", "quic"]);
    expect(at.seen[0]?.attach.capabilities).toEqual([]);
    expect(at.seen[1]?.attach.capabilities).toEqual([Capability.move]);
    expect(at.seen[1]?.attach.instanceId).toEqual(at.seen[0]?.attach.instanceId);
    expect(at.link.session).not.toBe(old);
    expect(at.served).toEqual([old, at.link.session]);
    expect(linkStatus(at.link.state, at.clock.now())).toMatchObject({
      state: "attached",
      leaving: [{ transport: "quic/memory", openStreams: 1 }],
    });

    await at.clock.advance(60_000);
    expect(stream.destroyed).toBe(false);
    stream.destroy();
    await at.clock.advance(5_000);
    expect(at.events).toEqual(["attached", "moved"]);
    await at.clock.advance(2_000);
    expect(at.events).toEqual(["attached", "moved", "left moved"]);
    expect((await old.closed).by).toBe("us");
    expect(linkStatus(at.link.state, at.clock.now()).leaving).toBeUndefined();
  });

  it("keeps streams of a session that it has left no longer than it was told to", async () => {
    const at = await scene({ moveDrain: 20_000 });
    at.link.start();
    await at.clock.advance(400);
    const stream = await hold(at.link.session);
    at.blocked = false;
    await at.clock.advance(5_000 + 2_000);
    expect(at.events).toEqual(["attached", "moved"]);
    await at.clock.advance(12_000);
    expect(stream.destroyed).toBe(false);
    await at.clock.advance(16_000);
    expect(at.events).toEqual(["attached", "moved", "left moved"]);
    expect(stream.destroyed).toBe(true);
  });

  it("tries less and less often, to once a minute, and stays attached meanwhile", async () => {
    const at = await scene();
    at.link.start();
    await at.clock.advance(1_000_000);
    expect(at.events).toEqual(["attached"]);
    const pauses = at.attempts.slice(2).map((ms, index) => ms - at.attempts[index + 1]!);
    expect(pauses[0]).toBeLessThanOrEqual(5_000 + 2_000);
    for (const pause of pauses.slice(8)) {
      expect(pause).toBeGreaterThanOrEqual(30_000);
      expect(pause).toBeLessThanOrEqual(66_000);
    }
    expect(at.attempts.length).toBeGreaterThan(15);
  });

  it("dials anew by every transport where its session is lost, and an attempt under way ends", async () => {
    const at = await scene();
    at.link.start();
    await at.clock.advance(2_000);
    at.seen[0]?.session.close({ by: "us", code: "restart", text: "" });
    await at.clock.advance(500);
    expect(at.events).toEqual(["attached", "detached restart", "attached"]);
    expect(at.seen.map(({ by }) => by)).toEqual(["wss", "wss"]);
  });

  it("dials anew where the better session is lost, though the one it left lives on", async () => {
    const at = await scene();
    at.link.start();
    await at.clock.advance(400);
    const stream = await hold(at.link.session);
    at.blocked = false;
    await at.clock.advance(8_000);
    at.blocked = true;
    at.seen[1]?.session.close({ by: "us", code: "gone", text: "" });
    await at.clock.advance(1_000);
    expect(at.events).toEqual(["attached", "moved", "detached gone", "attached"]);
    expect(at.seen.map(({ by }) => by)).toEqual(["wss", "quic", "wss"]);
    expect(at.seen[2]?.attach.capabilities).toEqual([]);
    expect(stream.destroyed).toBe(false);
  });

  it("keeps no more than two sessions that it has left", async () => {
    const at = await scene();
    at.link.start();
    for (let moves = 0; moves < 3; moves += 1) {
      at.blocked = true;
      at.seen.at(-1)?.session.close({ by: "us", code: "gone", text: "" });
      await at.clock.advance(1_000);
      await hold(at.link.session);
      at.blocked = false;
      await at.clock.advance(70_000);
    }
    expect(at.events.filter((event) => event === "moved")).toHaveLength(3);
    expect(at.events.filter((event) => event === "left moved")).toHaveLength(1);
    expect(linkStatus(at.link.state, at.clock.now()).leaving).toHaveLength(2);
  });

  it("stays where the relay refuses the better session, and asks again", async () => {
    const at = await scene();
    at.link.start();
    await at.clock.advance(400);
    at.blocked = false;
    at.status = Status.draining;
    await at.clock.advance(20_000);
    expect(at.events).toEqual(["attached"]);
    expect(at.seen.length).toBeGreaterThan(2);
    for (const { session } of at.seen.slice(1)) expect((await session.closed).by).toBe("peer-app");
    at.status = Status.ok;
    await at.clock.advance(60_000);
    expect(at.events.slice(0, 2)).toEqual(["attached", "moved"]);
  });

  it("does not move where the relay would take it for a takeover", async () => {
    const at = await scene({ capabilities: [] });
    at.link.start();
    await at.clock.advance(400);
    at.blocked = false;
    await at.clock.advance(300_000);
    expect(at.events).toEqual(["attached"]);
    expect(at.attempts).toHaveLength(1);
  });

  it("closes all its sessions when it is stopped", async () => {
    const at = await scene();
    at.link.start();
    await at.clock.advance(400);
    const old = at.link.session!;
    await hold(old);
    at.blocked = false;
    await at.clock.advance(8_000);
    const reason: CloseReason = { by: "us", code: "shutdown", text: "" };
    const stopped = at.link.stop(reason);
    await at.clock.advance(6_000);
    await stopped;
    expect(await Promise.all(at.seen.map(({ session }) => session.closed))).toMatchObject([
      { by: "peer-app" },
      { by: "peer-app" },
    ]);
    expect(at.link.state.kind).toBe("stopped");
  });
});
