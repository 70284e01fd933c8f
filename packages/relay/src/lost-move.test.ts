import { Duplex } from "node:stream";
import { millis, Scope, systemClock, systemRandom } from "@culvert/runtime";
import { waitUntil, within } from "@culvert/testkit";
import { RelayLink, type Session } from "@culvert/transport";
import { Capability, Status } from "@culvert/wire";
import { describe, expect, it, onTestFinished } from "vitest";
import {
  answerOffer,
  attachTip,
  connectTip,
  createWorld,
  open,
  type World,
} from "./relay-fixture.test-data.ts";
import { NameTable } from "./web/name-table.ts";
import { PortTable } from "./web/port-table.ts";
import type { PublicConnection, PublicDevice } from "./web/public-device.ts";

const publicName = "app.example.com";

interface Scene extends World {
  readonly link: RelayLink;
  /** Sessions that the link moved to without an answer. */
  readonly lost: Session[];
  /** What went wrong with moves so far. */
  readonly failures: string[];
  /** What serves the public name next. */
  readonly device: () => PublicDevice;
}

/** A server whose better way to the relay carries what it says and nothing back. */
async function scene(isOneShot: boolean): Promise<Scene> {
  const world = await createWorld({
    public: {
      names: [{ server: "lan-box", names: [publicName], tls: "end", http: "redirect" }],
      ports: [],
    },
  });
  onTestFinished(() => world.relay.close());
  const names = new NameTable([], { names: 10, namesPerDevice: 10 });
  const ports = new PortTable(() => Promise.reject(new Error("no ports here")), 0);
  const scope = new Scope();
  onTestFinished(() => scope.close());
  await world.relay.publicOffers.start({ names, ports, httpsPort: 443, httpPort: 80 }, scope);
  const lost: Session[] = [];
  const failures: string[] = [];
  const link = new RelayLink(
    {
      clock: systemClock,
      random: systemRandom,
      dial: () => world.dial(world.lanBox),
      better: {
        made: () => false,
        dial: async () => {
          const session = await world.dial(world.lanBox);
          lost.push(session);
          return speakOnly(session);
        },
      },
      observer: {
        dialing: () => undefined,
        retrying: () => undefined,
        refused: () => undefined,
        attached: () => undefined,
        detached: () => undefined,
        moved: () => undefined,
        notMoved: (error) => failures.push(error.message),
        left: () => undefined,
      },
    },
    {
      attach: attachTip({
        role: "server",
        transient: isOneShot,
        exposes: [{ name: publicName, port: 0 }],
      }),
      retry: { first: millis(100), cap: millis(1_000), factor: 2 },
      dialTimeout: millis(2_000),
      tipDeadline: millis(200),
      moveDrain: millis(60_000),
    },
  );
  onTestFinished(() => link.stop({ by: "us", code: "done", text: "test over" }));
  link.start();
  await waitUntil(() => link.session !== undefined, { what: "the link" });
  return { ...world, link, lost, failures, device: () => names.next(publicName)!.device };
}

/** A session whose streams carry what is written, and of which nothing arrives. */
function speakOnly(session: Session): Session {
  return new Proxy(session, {
    get(target, key) {
      if (key === "openStream") return async () => deaf(await target.openStream());
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}

function deaf(stream: Duplex): Duplex {
  stream.on("error", () => undefined);
  return new Duplex({
    read: () => undefined,
    write: (chunk: Buffer, _encoding, done) => void stream.write(chunk, done),
    final: (done) => void stream.end(done),
  });
}

/** Waits for moves that failed, and for the relay to have heard of them. */
async function lose({ failures, lost, relay }: Scene, moves: number): Promise<void> {
  await waitUntil(() => failures.length >= moves, { limitMs: 10_000, what: "moves that fail" });
  expect(failures.every((text) => text.includes("waiting for a tip"))).toBe(true);
  for (const session of lost) await within(session.closed, { what: "the end of what was lost" });
  const sessions = (): number => relay.status().peers[1]!.sessions.length;
  await waitUntil(() => sessions() === 1, { what: "the session there was, alone" });
}

const connection: PublicConnection = {
  service: "http",
  name: publicName,
  servicePort: 443,
  tls: "ended",
  remote: { family: "IPv4", address: "192.0.2.7", port: 50_112 },
  local: { family: "IPv4", address: "192.0.2.1", port: 443 },
};

describe("a move whose answer is lost", () => {
  it("leaves a server where it was: with its offers, and what it exposes", async () => {
    const at = await scene(false);
    const { session: standing } = at.link;
    const client = await at.attach(at.laptop);
    const [{ stream }, { stream: served }] = await Promise.all([
      open(client, connectTip("lan-box", "80")),
      answerOffer(standing!),
    ]);
    await lose(at, 2);
    expect(at.link.session).toBe(standing);
    expect(at.device().connected).toBe(true);
    const [{ answer }] = await Promise.all([
      open(client, connectTip("lan-box", "80")),
      answerOffer(standing!),
    ]);
    expect(answer).toMatchObject({ status: Status.ok });
    expect(stream.destroyed || served.destroyed).toBe(false);
  });

  it("leaves what a one-shot session exposes where it was", async () => {
    const at = await scene(true);
    const { session: standing } = at.link;
    await lose(at, 1);
    expect(at.device().connected).toBe(true);
    const opening = at.device().open(connection, { signal: new AbortController().signal });
    await answerOffer(standing!);
    (await opening).destroy();
  });
});

describe("a session that stands again", () => {
  const instanceId = new Uint8Array(16).fill(1);
  const move = { instanceId, capabilities: [Capability.move] };

  it.each([false, true])(
    "keeps its streams where its process attaches anew (one-shot: %s)",
    async (transient) => {
      const { relay, attach, laptop } = await createWorld({
        limits: { transientSessionsPerPeer: 2 },
      });
      onTestFinished(() => relay.close());
      const old = await attach(laptop, { instanceId, transient });
      const moved = await attach(laptop, { ...move, transient });
      moved.close({ by: "us", code: "lost", text: "" });
      const leaving = (): readonly boolean[] =>
        relay.status().peers[0]!.sessions.map((session) => session.leaving);
      await waitUntil(() => leaving().length === 1, { what: "the end of the one that moved" });
      expect(leaving()).toEqual([false]);
      const anew = await attach(laptop, { instanceId, transient });
      await waitUntil(() => leaving().length === 2, { what: "both" });
      expect([...leaving()].sort()).toEqual([false, true]);
      old.close({ by: "us", code: "moved", text: "" });
      await waitUntil(() => leaving().length === 1, { what: "the end of the one that was left" });
      expect(leaving()).toEqual([false]);
      anew.close({ by: "us", code: "done", text: "" });
      await waitUntil(() => leaving().length === 0, { what: "the end of all" });
    },
  );

  it("goes where another process takes over", async () => {
    const { relay, attach, laptop } = await createWorld();
    onTestFinished(() => relay.close());
    const old = await attach(laptop, { instanceId });
    const moved = await attach(laptop, move);
    moved.close({ by: "us", code: "lost", text: "" });
    const count = (): number => relay.status().peers[0]!.sessions.length;
    await waitUntil(() => count() === 1, { what: "the end of the one that moved" });
    await attach(laptop);
    expect(await within(old.closed, { what: "the loser's end" })).toMatchObject({ by: "peer-app" });
  });
});
