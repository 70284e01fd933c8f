import { generateIdentity } from "@culvert/identity";
import { millis, systemClock, type ByteStream } from "@culvert/runtime";
import { maxEarlyBytes, readAnswer, readTip, writeTip, type Session } from "@culvert/transport";
import { Capability, Status, type Tip } from "@culvert/wire";
import { readBytes, waitUntil, within } from "@culvert/testkit";
import { afterEach, describe, expect, it } from "vitest";
import {
  answerOffer,
  ask,
  attachTip,
  connectTip,
  createWorld,
  open,
  sayAnswer,
  takeOffer,
  type World,
} from "./relay-fixture.test-data.ts";

let worlds: World[] = [];

async function world(options?: Parameters<typeof createWorld>[0]): Promise<World> {
  const made = await createWorld(options);
  worlds.push(made);
  return made;
}

afterEach(async () => {
  await Promise.all(worlds.map(({ relay }) => relay.close()));
  worlds = [];
});

function statusOf(tip: Tip): number {
  if (!("status" in tip)) throw new Error(`no status in ${tip.kind}`);
  return tip.status;
}

/** Reads to the end and, unlike async iteration, leaves the other direction alone. */
function readAll(stream: ByteStream): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    stream.on("data", (chunk: Buffer) => (text += chunk.toString()));
    stream.once("end", () => resolve(text));
    stream.once("error", reject);
  });
}

describe("attach", () => {
  it("welcomes a known peer by its name", async () => {
    const { dial, laptop } = await world();
    const answer = await ask(await dial(laptop), attachTip());
    expect(answer).toMatchObject({ kind: "attachAnswer", status: Status.ok, name: "laptop" });
  });

  it("tells an unknown peer its id, and closes", async () => {
    const { dial } = await world();
    const stranger = generateIdentity();
    const session = await dial(stranger);
    const answer = await ask(session, attachTip());
    expect(statusOf(answer)).toBe(Status.permission_denied_by_relay);
    expect(answer).toMatchObject({ text: expect.stringContaining(stranger.peerId) as string });
    await within(session.closed, { what: "the close", limitMs: 3_000 });
  });

  it("refuses a role the peer does not have", async () => {
    const { dial, laptop } = await world();
    const answer = await ask(await dial(laptop), attachTip({ role: "server" }));
    expect(statusOf(answer)).toBe(Status.permission_denied_by_relay);
  });

  it("closes a session that says nothing within the deadline", async () => {
    const { dial, laptop } = await world();
    const session = await dial(laptop);
    await within(session.closed, { what: "the close", limitMs: 2_000 });
  });

  it("refuses a session that begins with something else", async () => {
    const { dial, laptop } = await world();
    const session = await dial(laptop);
    expect(statusOf(await ask(session, connectTip("lan-box", "80")))).toBe(Status.malformed);
  });

  it.each([
    ["a version it does not know", [2, 1, 0], Status.unsupported_version],
    ["garbage", [1, 3, 255, 255, 255], Status.malformed],
    ["half a tip", [1, 100, 8], Status.malformed],
  ])("answers %s before it closes", async (_what, bytes, status) => {
    const { dial, laptop } = await world();
    const session = await dial(laptop);
    const stream = await session.openStream();
    stream.on("error", () => undefined);
    stream.write(Uint8Array.from(bytes));
    const answer = await readTip(stream, { clock: systemClock, deadline: millis(2_000) });
    expect(answer).toMatchObject({ kind: "attachAnswer", status });
    await within(session.closed, { what: "the close", limitMs: 3_000 });
  });

  it("names the limit of sessions, which strangers do not use up", async () => {
    const { attach, dial, laptop, lanBox, attic } = await world({ limits: { sessions: 2 } });
    const strangers = await Promise.all(Array.from({ length: 5 }, () => dial(generateIdentity())));
    await attach(laptop);
    await attach(lanBox);
    const answer = await ask(await dial(attic), attachTip({ role: "server" }));
    expect(answer).toMatchObject({
      status: Status.resource_limit,
      text: expect.stringContaining("limits.sessions = 2") as string,
    });
    for (const stranger of strangers) stranger.close({ by: "us", code: "done", text: "" });
  });

  it("lets a newer session take over at once, and keeps the loser from taking back", async () => {
    const { attach, dial, laptop } = await world();
    const first = new Uint8Array(16).fill(1);
    const second = new Uint8Array(16).fill(2);
    const old = await attach(laptop, { instanceId: first });
    const young = await attach(laptop, { instanceId: second });
    await within(old.closed, { what: "the older session's end" });
    const answer = await ask(await dial(laptop), attachTip({ instanceId: first }));
    expect(statusOf(answer)).toBe(Status.superseded);
    young.close({ by: "us", code: "done", text: "" });
    await waitUntil(
      async () => {
        const again = await ask(await dial(laptop), attachTip({ instanceId: first }));
        return statusOf(again) === Status.ok;
      },
      { what: "the loser to be welcome once the winner has gone" },
    );
  });

  it("lets one process come back over its own older session", async () => {
    const { attach, laptop } = await world();
    const instanceId = new Uint8Array(16).fill(1);
    const old = await attach(laptop, { instanceId });
    await attach(laptop, { instanceId });
    await within(old.closed, { what: "the older session's end" });
    await attach(laptop, { instanceId });
  });

  it("lets one process move: streams go on where they are, and offers come on the new session alone", async () => {
    const { attach, relay, registry, laptop, lanBox } = await world();
    const instanceId = new Uint8Array(16).fill(1);
    const move = { instanceId, capabilities: [Capability.move] };
    const client = await attach(laptop, { instanceId });
    const server = await attach(lanBox, { instanceId });
    const [{ stream: before }, { stream: beforeServed }] = await Promise.all([
      open(client, connectTip("lan-box", "80")),
      answerOffer(server),
    ]);
    const movedClient = await attach(laptop, move);
    const movedServer = await attach(lanBox, move);

    const [{ stream: after }, { stream: afterServed }] = await Promise.all([
      open(movedClient, connectTip("lan-box", "80")),
      answerOffer(movedServer),
    ]);
    before.end("old");
    after.end("new");
    expect(await Promise.all([readAll(beforeServed), readAll(afterServed)])).toEqual([
      "old",
      "new",
    ]);
    // What a client still opens on the session that it is leaving is served too.
    const [{ answer }] = await Promise.all([
      open(client, connectTip("lan-box", "80")),
      answerOffer(movedServer),
    ]);
    expect(statusOf(answer)).toBe(Status.ok);

    const sessionsOf = () => relay.status().peers.map(({ sessions }) => sessions);
    expect(sessionsOf()[0]?.map(({ leaving }) => leaving)).toEqual([false, true]);
    expect(sessionsOf()[1]?.map(({ leaving }) => leaving)).toEqual([false, true]);
    const metrics = await registry.metrics();
    expect(metrics).toContain("culvert_relay_sessions_moved_total 2");
    expect(metrics).toContain("culvert_relay_sessions_superseded_total 0");
    expect(metrics).toContain('culvert_relay_transport_sessions{transport="quic/memory"} 4');
    for (const session of [client, server]) session.close({ by: "us", code: "moved", text: "" });
    await waitUntil(
      () =>
        sessionsOf()
          .slice(0, 2)
          .every(({ length }) => length === 1),
      {
        what: "the old sessions to be gone",
      },
    );
  });

  it("keeps at most two sessions that a peer has left, and none of a process that lost", async () => {
    const { attach, relay, lanBox } = await world();
    const capabilities = [Capability.move];
    const first = new Uint8Array(16).fill(1);
    const sessions = [await attach(lanBox, { instanceId: first })];
    for (let moves = 0; moves < 3; moves += 1) {
      sessions.push(await attach(lanBox, { instanceId: first, capabilities }));
    }
    await within(sessions[0]!.closed, { what: "the end of the oldest" });
    const open = () => relay.status().peers[1]?.sessions.length;
    await waitUntil(() => open() === 3, { what: "the newest and the two before it" });
    await attach(lanBox, { instanceId: new Uint8Array(16).fill(2), capabilities });
    for (const session of sessions) {
      expect(await within(session.closed, { what: "the loser's end" })).toMatchObject({
        by: "peer-app",
      });
    }
    await waitUntil(() => open() === 1, { what: "the winner alone" });
  });

  it("takes a process that comes back without a word of moving for one that has lost its session", async () => {
    const { attach, laptop } = await world();
    const instanceId = new Uint8Array(16).fill(1);
    const old = await attach(laptop, { instanceId });
    const moved = await attach(laptop, { instanceId, capabilities: [Capability.move] });
    await attach(laptop, { instanceId });
    await within(moved.closed, { what: "the end of the session that was lost" });
    let ended = false;
    void old.closed.then(() => (ended = true));
    expect(ended).toBe(false);
  });

  it("keeps one-shot sessions beside the standing one, up to a limit", async () => {
    const { attach, dial, laptop } = await world({ limits: { transientSessionsPerPeer: 2 } });
    const standing = await attach(laptop);
    let ended = false;
    void standing.closed.then(() => (ended = true));
    await attach(laptop, { transient: true });
    await attach(laptop, { transient: true });
    const answer = await ask(await dial(laptop), attachTip({ transient: true }));
    expect(statusOf(answer)).toBe(Status.resource_limit);
    expect(ended).toBe(false);
  });
});

describe("a one-shot session that moves", () => {
  const move = { transient: true, capabilities: [Capability.move] };
  const instance = (byte: number): Uint8Array => new Uint8Array(16).fill(byte);
  const hasEnded = async (session: Session): Promise<boolean> => {
    let ended = false;
    void session.closed.then(() => (ended = true));
    await new Promise(setImmediate);
    return ended;
  };

  it("leaves its own earlier one alone, and neither the standing session nor one of another process", async () => {
    const { attach, laptop, relay } = await world();
    const standing = await attach(laptop);
    const other = await attach(laptop, { transient: true, instanceId: instance(9) });
    const from = await attach(laptop, { transient: true, instanceId: instance(1) });
    const to = await attach(laptop, { ...move, instanceId: instance(1) });
    for (const session of [standing, other, from, to]) expect(await hasEnded(session)).toBe(false);
    const sessions = (): readonly boolean[] =>
      relay
        .status()
        .peers.flatMap((peer) => peer.sessions)
        .map(({ leaving }) => leaving);
    expect(sessions().filter((leaving) => leaving)).toHaveLength(1);
    // Another process with the same key takes over the standing session, and no one-shot one.
    await attach(laptop, { instanceId: instance(2) });
    await within(standing.closed, { what: "the end of the standing one" });
    expect(sessions().filter((leaving) => leaving)).toHaveLength(1);
    from.close({ by: "us", code: "moved", text: "moved" });
    await waitUntil(() => !sessions().includes(true), { what: "the end of the one it left" });
    for (const session of [other, to]) expect(await hasEnded(session)).toBe(false);
  });

  it.each([1, 2])(
    "moves also where its peer may have no more than %i, and no second process gets in by it",
    async (transientSessionsPerPeer) => {
      const { attach, dial, laptop } = await world({ limits: { transientSessionsPerPeer } });
      const of = (byte: number) => ({ ...move, instanceId: instance(byte) });
      const from = [];
      for (let count = 1; count <= transientSessionsPerPeer; count += 1) {
        from.push(await attach(laptop, of(count)));
      }
      for (let count = 1; count <= transientSessionsPerPeer; count += 1) {
        const to = await attach(laptop, of(count));
        for (const session of [...from, to]) expect(await hasEnded(session)).toBe(false);
      }
      const other = await ask(await dial(laptop), attachTip(of(9)));
      expect(other).toMatchObject({ status: Status.resource_limit });
    },
  );

  it("keeps two that it left, and those count to the limit", async () => {
    const { attach, dial, laptop } = await world({ limits: { transientSessionsPerPeer: 3 } });
    const instanceId = instance(1);
    const [first, second] = [
      await attach(laptop, { transient: true, instanceId }),
      await attach(laptop, { ...move, instanceId }),
    ];
    const third = await attach(laptop, { ...move, instanceId });
    const full = await ask(await dial(laptop), attachTip({ transient: true }));
    expect(full).toMatchObject({ status: Status.resource_limit });
    const fourth = await attach(laptop, { ...move, instanceId });
    await within(first.closed, { what: "the end of the oldest" });
    for (const session of [second, third, fourth]) expect(await hasEnded(session)).toBe(false);
  });
});

describe("connect", () => {
  async function pair(options?: Parameters<typeof createWorld>[0]): Promise<{
    made: World;
    client: Session;
    server: Session;
  }> {
    const made = await world(options);
    return {
      made,
      client: await made.attach(made.laptop),
      server: await made.attach(made.lanBox, { services: ["echo"] }),
    };
  }

  it("joins a client's stream to a server's, half-close and all", async () => {
    const { made, client, server } = await pair();
    const opening = open(client, connectTip("lan-box", "echo"));
    const { stream: right, offer } = await answerOffer(server);
    expect(offer).toMatchObject({
      kind: "offer",
      clientId: made.laptop.peerId,
      clientName: "laptop",
      target: "echo",
      clientPort: 40_000,
    });
    const { stream: left, answer } = await opening;
    expect(statusOf(answer)).toBe(Status.ok);
    left.end("question");
    expect(await readAll(right)).toBe("question");
    right.end("answer");
    expect(await readAll(left)).toBe("answer");
    await waitUntil(() => made.relay.status().connections.length === 0, { what: "the end" });
    expect(made.relay.status().bytes).toEqual({ clientToServer: 8, serverToClient: 6 });
  });

  it("passes first bytes on behind the offer, and the rest after the answer", async () => {
    const { made, client, server } = await pair();
    const question = Buffer.alloc(maxEarlyBytes + 10_000, "q");
    const left = await client.openStream();
    left.on("error", () => undefined);
    writeTip(left, connectTip("lan-box", "echo"));
    left.end(question);
    const { stream: right } = await takeOffer(server);
    const early = await within(readBytes(right, maxEarlyBytes), { what: "the first bytes" });
    expect(early).toEqual(question.subarray(0, maxEarlyBytes));
    await waitUntil(() => left.writableFinished, { what: "all to be at the relay" });
    expect(right.readableLength).toBe(0);
    sayAnswer(right);
    const rest = readAll(right);
    right.end("answer");
    const answer = await readTip(left, { clock: systemClock, deadline: millis(3_000) });
    expect(statusOf(answer)).toBe(Status.ok);
    expect(await readAll(left)).toBe("answer");
    expect((await rest).length).toBe(10_000);
    await waitUntil(() => made.relay.status().connections.length === 0, { what: "the end" });
    const bytes = { clientToServer: question.length, serverToClient: 6 };
    expect(made.relay.status().bytes).toEqual(bytes);
  });

  it("offers nothing, bytes included, of what is not granted, and tells of a refusal after them", async () => {
    const { made, client, server } = await pair();
    const asking = async (target: string): Promise<ByteStream> => {
      const stream = await client.openStream();
      stream.on("error", () => undefined);
      writeTip(stream, connectTip("lan-box", target));
      stream.write("a secret");
      return stream;
    };
    const answerTo = (stream: ByteStream): Promise<Tip> =>
      readTip(stream, { clock: systemClock, deadline: millis(3_000) });
    const denied = await answerTo(await asking("22"));
    expect(statusOf(denied)).toBe(Status.permission_denied_by_relay);
    const left = await asking("echo");
    const { stream: right, offer } = await answerOffer(server, Status.target_refused, "no");
    expect(offer).toMatchObject({ kind: "offer", target: "echo" });
    expect(await answerTo(left)).toMatchObject({ status: Status.target_refused, text: "no" });
    left.resume().end();
    right.resume();
    await waitUntil(() => right.destroyed && left.destroyed, { what: "both ends" });
    expect(made.relay.status().bytes).toEqual({ clientToServer: 0, serverToClient: 0 });
  });

  it("counts a connection whose target cut it at its first byte as opened and closed, even where the reset overtakes the answer", async () => {
    const { made, client, server } = await pair();
    for (let round = 0; round < 3; round += 1) {
      const left = await client.openStream();
      left.on("error", () => undefined);
      writeTip(left, connectTip("lan-box", "echo"));
      left.write("x");
      const { stream: right } = await takeOffer(server);
      sayAnswer(right);
      right.destroy(new Error("the target has reset"));
      const answer = await readAnswer(left, { clock: systemClock, deadline: millis(3_000) });
      expect(answer.status).toBe(Status.ok);
      await waitUntil(() => left.destroyed, { what: "the client's end" });
      expect(left.errored).toMatchObject({ code: "stream_reset" });
    }
    await waitUntil(() => made.relay.status().connections.length === 0, { what: "the end" });
    const metrics = await made.registry.metrics();
    expect(metrics).toContain('culvert_relay_connections_closed_total{cause="server"} 3');
    expect(metrics).not.toContain("culvert_relay_connections_refused_total{");
  });

  it("shows the four identifiers while it is open", async () => {
    const { made, client, server } = await pair();
    const opening = open(client, connectTip("lan-box", "80"));
    await answerOffer(server);
    await opening;
    expect(made.relay.status().connections).toEqual([
      expect.objectContaining({
        client: "laptop",
        clientPort: 40_000,
        server: "lan-box",
        target: "80",
        trace: "07".repeat(16),
      }),
    ]);
  });

  it("passes a reset on to the other side, and not as an end", async () => {
    const { client, server } = await pair();
    const opening = open(client, connectTip("lan-box", "echo"));
    const { stream: right } = await answerOffer(server);
    const { stream: left } = await opening;
    const failed = new Promise<Error>((resolve) => right.once("error", resolve));
    right.resume();
    left.destroy(new Error("gone"));
    const error = await within(failed, { what: "the reset" });
    expect(error).toMatchObject({ code: "stream_reset" });
    expect(right.readableEnded).toBe(false);
  });

  it.each([
    ["a port that is not granted", "lan-box", "22"],
    ["a service that is not granted", "lan-box", "ssh"],
    ["an address", "lan-box", "10.0.0.1:80"],
    ["a server without a grant", "attic", "80"],
    ["a server that does not exist", "nowhere", "80"],
  ])("denies %s before anything is offered", async (_what, server, target) => {
    const { client } = await pair();
    expect(statusOf(await ask(client, connectTip(server, target)))).toBe(
      Status.permission_denied_by_relay,
    );
  });

  it("answers alike for a server without a grant and one that does not exist", async () => {
    const { client } = await pair();
    const strip = (tip: Tip, name: string): string => JSON.stringify(tip).replaceAll(name, "X");
    const hidden = strip(await ask(client, connectTip("attic", "80")), "attic");
    expect(strip(await ask(client, connectTip("nowhere", "80")), "nowhere")).toBe(hidden);
  });

  it("tells a server that is away from one that is unknown, to whoever may know", async () => {
    const grants = [{ client: "laptop", server: "*", services: ["*"] }];
    const { client } = await pair({ grants });
    expect(statusOf(await ask(client, connectTip("attic", "80")))).toBe(Status.server_offline);
    expect(statusOf(await ask(client, connectTip("nowhere", "80")))).toBe(Status.unknown_server);
  });

  it("passes a server's refusal on with its words", async () => {
    const { client, server } = await pair();
    const asked = ask(client, connectTip("lan-box", "80"));
    await answerOffer(server, Status.target_refused, "connection refused");
    expect(await asked).toMatchObject({
      status: Status.target_refused,
      text: "connection refused",
    });
  });

  it("gives up on a server that does not answer", async () => {
    const { client } = await pair({ limits: { connectTimeout: millis(200) } });
    expect(statusOf(await ask(client, connectTip("lan-box", "80")))).toBe(Status.target_timeout);
  });

  it("answers when the server's session ends meanwhile", async () => {
    const { client, server } = await pair();
    const asked = ask(client, connectTip("lan-box", "80"));
    await server.streams[Symbol.asyncIterator]().next();
    server.close({ by: "us", code: "crash", text: "" });
    expect(statusOf(await asked)).toBe(Status.server_offline);
  });

  it("names the limit that a flood of streams meets", async () => {
    const { made, client } = await pair({ limits: { connectionsPerClient: 3 } });
    for (let i = 0; i < 3; i += 1) {
      const stream = await client.openStream();
      stream.on("error", () => undefined);
      stream.write(Uint8Array.of(1));
    }
    const answer = await ask(client, connectTip("lan-box", "80"));
    expect(answer).toMatchObject({ status: Status.resource_limit, limit: "connectionsPerClient" });
    expect(await made.registry.metrics()).toContain(
      'culvert_relay_connections_refused_total{status="resource_limit"} 1',
    );
  });

  it("closes a stream that sends no tip, at the deadline, with the reason", async () => {
    const { client } = await pair();
    const stream = await client.openStream();
    stream.on("error", () => undefined);
    stream.write(Uint8Array.of(1));
    const answer = await readTip(stream, { clock: systemClock, deadline: millis(2_000) });
    expect(statusOf(answer)).toBe(Status.malformed);
  });

  it("refuses streams that a server opens", async () => {
    const { server } = await pair();
    const stream = await server.openStream();
    const failed = new Promise<Error>((resolve) => stream.once("error", resolve));
    stream.write("hello");
    stream.resume();
    await within(failed, { what: "the reset" });
  });

  it("takes nothing new while it drains, lets the old end, and tells who asks", async () => {
    const { made, client, server } = await pair();
    const opening = open(client, connectTip("lan-box", "echo"));
    const { stream: right } = await answerOffer(server);
    const { stream: left } = await opening;
    const drained = made.relay.drain();
    expect(statusOf(await ask(client, connectTip("lan-box", "80")))).toBe(Status.draining);
    left.end();
    right.end();
    left.resume();
    right.resume();
    await within(drained, { what: "the drain", limitMs: 400 });
  });

  it("waits for a connection that is being opened", async () => {
    const { made, client, server } = await pair();
    const opening = open(client, connectTip("lan-box", "echo"));
    const { stream: right } = await takeOffer(server);
    let drained = false;
    void made.relay.drain().then(() => (drained = true));
    sayAnswer(right);
    const { stream: left, answer } = await opening;
    expect(statusOf(answer)).toBe(Status.ok);
    expect(drained).toBe(false);
    for (const stream of [left, right]) stream.resume().end();
    await waitUntil(() => drained, { what: "the drain", limitMs: 400 });
  });

  it("names the limit where the server takes no more streams", async () => {
    const { made, client } = await pair();
    const other = await made.attach(made.laptop, { transient: true });
    // Each session allows 64 streams; together the two ask for more than the server's one does.
    const asked = Array.from({ length: 80 }, (_, index) =>
      ask(index % 2 === 0 ? client : other, connectTip("lan-box", "echo")),
    );
    for (const each of asked) each.catch(() => undefined);
    expect(await Promise.any(asked)).toMatchObject({
      status: Status.resource_limit,
      limit: "quic.maxStreams",
    });
  });

  it("does not blame anybody else for a client that leaves", async () => {
    const { made, client, server } = await pair();
    const stream = await client.openStream();
    stream.on("error", () => undefined);
    writeTip(stream, connectTip("lan-box", "80"));
    await takeOffer(server);
    stream.destroy();
    await waitUntil(
      async () =>
        (await made.registry.metrics()).includes(
          'culvert_relay_connections_refused_total{status="client_gone"} 1',
        ),
      { what: "the count" },
    );
  });

  it("stops waiting for connections that do not end", async () => {
    const { made, client, server } = await pair();
    const opening = open(client, connectTip("lan-box", "echo"));
    await answerOffer(server);
    await opening;
    await within(made.relay.drain(), { what: "the drain's deadline", limitMs: 2_000 });
  });
});
