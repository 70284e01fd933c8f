import { generateIdentity } from "@culvert/identity";
import { createMemoryNetwork, quicDefaults, type QuicListener } from "@culvert/quic";
import { millis, TransportError, type CloseReason, type Millis } from "@culvert/runtime";
import { seededRandom, VirtualClock } from "@culvert/testkit";
import { Status } from "@culvert/wire";
import { afterEach, describe, expect, it } from "vitest";
import { answerAndEnd } from "./answer-and-end.ts";
import { reconnectDefaults } from "./defaults.ts";
import { QuicSession } from "./quic-session.ts";
import { RelayLink, type LinkObserver, type RelayLinkOptions } from "./relay-link.ts";
import type { Session } from "./session.ts";
import { readTip } from "./tip-io.ts";

const done: CloseReason = { by: "us", code: "done", text: "test over" };

/** A link, and a relay on a memory network that answers each attach with the next status of a script. */
async function scene(script: number[]): Promise<{
  clock: VirtualClock;
  link: RelayLink;
  listener: QuicListener;
  events: string[];
  delays: Millis[];
  relaySessions: QuicSession[];
  /** As if the relay had started anew and answered with a stateless reset. */
  forget: () => void;
}> {
  const clock = new VirtualClock();
  const network = createMemoryNetwork({ clock });
  const relay = generateIdentity();
  const client = generateIdentity();
  const listener = await network.createEngine().listen({
    address: { host: "127.0.0.1", port: 0 },
    identity: relay,
    settings: quicDefaults,
  });
  const relaySessions: QuicSession[] = [];
  void (async () => {
    for await (const connection of listener.connections) {
      const session = new QuicSession(connection);
      relaySessions.push(session);
      void answerAttach(session, script.shift() ?? Status.ok, clock);
    }
  })();
  const resets: (() => void)[] = [];
  const events: string[] = [];
  const delays: Millis[] = [];
  const observer: LinkObserver = {
    dialing: () => undefined,
    retrying: (error, delay) => {
      events.push(`retrying ${"code" in error ? String(error.code) : error.message}`);
      delays.push(delay);
    },
    refused: (status, _text, delay) => {
      events.push(`refused ${status}`);
      delays.push(delay);
    },
    attached: () => events.push("attached"),
    detached: (reason) => events.push(`detached ${reason.by}`),
    moved: () => events.push("moved"),
    notMoved: () => undefined,
    left: () => undefined,
  };
  const engine = network.createEngine();
  const link = new RelayLink(
    {
      clock,
      random: seededRandom(1),
      observer,
      dial: async (signal) => {
        const connection = await engine.dial({
          address: listener.address,
          identity: client,
          expectedPeer: relay.peerId,
          settings: quicDefaults,
          signal,
        });
        return forgettable(new QuicSession(connection), resets);
      },
    },
    linkOptions,
  );
  links.push({ link, clock });
  return {
    ...{ clock, link, listener, events, delays, relaySessions },
    forget: () => resets.at(-1)?.(),
  };
}

/** A session that may also end by a stateless reset, which the memory network does not have. */
function forgettable(session: QuicSession, resets: (() => void)[]): QuicSession {
  const reset = new Promise<CloseReason>((resolve) => {
    const reason: CloseReason = { by: "peer-stack", code: "stateless_reset", text: "" };
    resets.push(() => resolve(reason));
  });
  return Object.defineProperty(session, "closed", { value: Promise.race([session.closed, reset]) });
}

async function answerAttach(
  session: QuicSession,
  status: number,
  clock: VirtualClock,
): Promise<void> {
  const next = await session.streams[Symbol.asyncIterator]().next();
  if (next.done === true) return;
  const stream = next.value;
  stream.on("error", () => undefined);
  await readTip(stream, { clock, deadline: millis(1_000) });
  if (status === silent) return;
  answerAndEnd(
    stream,
    { kind: "attachAnswer", status, text: "", name: "laptop", software: "", capabilities: [] },
    clock,
  );
}

const linkOptions: RelayLinkOptions = {
  attach: {
    kind: "attach",
    role: "client",
    services: [],
    instanceId: new Uint8Array(16),
    transient: false,
    software: "culvert/test",
    capabilities: [],
  },
  retry: { first: millis(100), cap: millis(1_000), factor: 2 },
  dialTimeout: millis(6_000),
  tipDeadline: millis(5_000),
  moveDrain: millis(60_000),
};

const silentObserver: LinkObserver = {
  dialing: () => undefined,
  retrying: () => undefined,
  refused: () => undefined,
  attached: () => undefined,
  detached: () => undefined,
  moved: () => undefined,
  notMoved: () => undefined,
  left: () => undefined,
};

const silent = -1;
let links: { link: RelayLink; clock: VirtualClock }[] = [];

afterEach(async () => {
  for (const { link, clock } of links) {
    const stopped = link.stop(done);
    await clock.advance(10);
    await stopped;
  }
  links = [];
});

describe("a link to the relay", () => {
  it("attaches, and attaches again within 100 ms when its session ends", async () => {
    const { clock, link, events, relaySessions } = await scene([]);
    link.start();
    await clock.advance(50);
    expect(link.state.kind).toBe("attached");
    await clock.advance(5_000);
    relaySessions[0]?.close({ by: "us", code: "restart", text: "" });
    await clock.advance(110);
    expect(events).toEqual(["attached", "detached peer-app", "attached"]);
  });

  it("dials at once when the relay is there and has forgotten the session, and not again and again", async () => {
    const { clock, link, events, forget } = await scene([]);
    link.start();
    await clock.advance(1_000);
    forget();
    await clock.advance(20);
    expect(events).toEqual(["attached", "detached peer-stack", "attached"]);
    forget();
    await clock.advance(20);
    expect(events.slice(3)).toEqual(["detached peer-stack"]);
    await clock.advance(200);
    expect(events.slice(4)).toEqual(["attached"]);
  });

  it("backs off further each time, to its cap, and for ever", async () => {
    const { clock, link, listener, delays } = await scene([]);
    await listener.close();
    link.start();
    await clock.advance(120_000);
    expect(delays.length).toBeGreaterThan(15);
    expect(delays[0]).toBeGreaterThanOrEqual(50);
    expect(delays[0]).toBeLessThanOrEqual(100);
    for (const delay of delays.slice(5)) {
      expect(delay).toBeGreaterThanOrEqual(500);
      expect(delay).toBeLessThanOrEqual(1_000);
    }
  });

  it("finds a relay that takes half a second to start within a third of a second more", async () => {
    for (let seed = 0; seed < 50; seed += 1) {
      const clock = new VirtualClock();
      const dials: number[] = [];
      const dial = (): Promise<Session> => {
        dials.push(clock.now());
        return Promise.reject(new TransportError("dial_failed", "nobody listens there"));
      };
      const link = new RelayLink(
        { clock, random: seededRandom(seed), observer: silentObserver, dial },
        { ...linkOptions, retry: reconnectDefaults },
      );
      links.push({ link, clock });
      const startedMs = clock.now();
      link.start();
      await clock.advance(2_000);
      const found = dials.map((atMs) => atMs - startedMs).find((atMs) => atMs >= 500);
      expect(found, `seed ${seed}`).toBeLessThan(834);
    }
  });

  it("waits seconds after a refusal, and keeps asking", async () => {
    const { clock, link, events, delays } = await scene([
      Status.permission_denied_by_relay,
      Status.superseded,
    ]);
    link.start();
    await clock.advance(11_000);
    expect(events).toEqual(["refused 202", "refused 209", "attached"]);
    for (const delay of delays) expect(delay).toBeGreaterThanOrEqual(2_500);
  });

  it("gives up on a relay that does not answer the attach", async () => {
    const { clock, link, events } = await scene([silent]);
    link.start();
    await clock.advance(5_200);
    expect(events).toEqual(["retrying timeout", "attached"]);
  });

  it("does not chase a relay that drops it at once", async () => {
    const { clock, link, events, relaySessions } = await scene([]);
    link.start();
    let closed = 0;
    for (let ms = 0; ms < 10_000; ms += 20) {
      await clock.advance(20);
      while (closed < relaySessions.length && link.state.kind === "attached") {
        relaySessions[closed]?.close({ by: "us", code: "drop", text: "" });
        closed += 1;
      }
    }
    expect(events.filter((event) => event === "attached").length).toBeLessThan(25);
  });

  it("stops for good", async () => {
    const { clock, link } = await scene([]);
    link.start();
    await clock.advance(50);
    const session = link.session;
    const stopped = link.stop(done);
    await clock.advance(50);
    await stopped;
    expect(await session?.closed).toMatchObject({ by: "us" });
    expect(link.state.kind).toBe("stopped");
    await clock.advance(10_000);
    expect(link.state.kind).toBe("stopped");
  });
});
