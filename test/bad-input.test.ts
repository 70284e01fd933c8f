import { randomBytes, randomInt } from "node:crypto";
import { createSocket } from "node:dgram";
import { describe, expect, it, onTestFinished } from "vitest";
import type { ByteStream } from "@culvert/runtime";
import { LimitError } from "@culvert/runtime";
import { seededRandom } from "@culvert/testkit";
import type { Session } from "@culvert/transport";
import { Status, statusName } from "@culvert/wire";
import { closedWithin, recovers, useEcho } from "./support/connections.ts";
import { culvert } from "./support/culvert.ts";
import type { DaemonOptions } from "./support/daemon.ts";
import { measurable } from "./support/live-heap.ts";
import { freePort } from "./support/ports.ts";
import { total } from "./support/prometheus.ts";
import {
  attachAs,
  attachedSession,
  dialRelay,
  speak,
  useFakeRelay,
  type Outcome,
} from "./support/raw-peer.ts";
import {
  bytesField,
  frame,
  numberField,
  rawAnswer,
  rawAttachAnswer,
  rawConnect,
  rawForward,
  rawOffer,
  varint,
} from "./support/raw-tip.ts";
import { connectTcp, echoOnce, ending, readExactly } from "./support/tcp.ts";
import { roles, useTrial, type Trial } from "./support/trial.ts";
import { timed, waitUntil } from "./support/wait.ts";

const tipDeadlineMs = 1_000;
const promptMs = 1_000;

/** Tips that nobody may accept; `request` makes a whole tip of the kind that fits, with parts that may be wrong. */
type MakeRequest = (parts: {
  target?: string;
  traceId?: Uint8Array;
  clientPort?: number;
}) => Buffer;

function badTips(request: MakeRequest, wrongKind: Buffer): readonly BadTip[] {
  const good = request({});
  const malformed = Status.malformed;
  return [
    { name: "random bytes behind a good version", bytes: garbage(), status: malformed, fin: true },
    { name: "text of another protocol", bytes: Buffer.from("GET / HTTP/1.1\r\n\r\n"), status: 401 },
    { name: "version 0", bytes: withByte(good, 0, 0), status: Status.unsupported_version },
    { name: "version 2", bytes: withByte(good, 0, 2), status: Status.unsupported_version },
    { name: "version 255", bytes: withByte(good, 0, 255), status: Status.unsupported_version },
    {
      name: "a length that is too long to be one",
      bytes: bytes(1, 255, 255, 255),
      status: malformed,
    },
    {
      name: "one byte more than a tip may have, announced and not sent",
      bytes: Buffer.concat([bytes(1), varint(16_385)]),
      status: malformed,
    },
    {
      name: "16 KiB and one byte, sent",
      bytes: Buffer.concat([bytes(1), varint(16_385), randomBytes(16_385)]),
      status: malformed,
    },
    { name: "an empty message", bytes: bytes(1, 0), status: malformed },
    { name: "nothing but FIN after the version", bytes: bytes(1), status: malformed, fin: true },
    {
      name: "truncated in the middle",
      bytes: good.subarray(0, good.length >> 1),
      status: malformed,
      fin: true,
    },
    {
      name: "truncated by one byte",
      bytes: good.subarray(0, good.length - 1),
      status: malformed,
      fin: true,
    },
    { name: "a kind that does not belong here", bytes: wrongKind, status: malformed },
    { name: "a kind that nobody knows", bytes: frame(bytesField(99, "x")), status: malformed },
    {
      name: "a trace id of 15 bytes",
      bytes: request({ traceId: randomBytes(15) }),
      status: malformed,
    },
    {
      name: "a trace id of 17 bytes",
      bytes: request({ traceId: randomBytes(17) }),
      status: malformed,
    },
    { name: "a client port of 65,536", bytes: request({ clientPort: 65_536 }), status: malformed },
    ...badTargets.map(([name, target]) => ({
      name: `a target ${name}`,
      bytes: request({ target }),
      status: malformed,
    })),
  ];
}

const badTargets = [
  ["of 1,000 characters", "x".repeat(1_000)],
  ["that is empty", ""],
  ["with control characters", "ss\u0007h\u001b[2J"],
  ["with a line break", "ssh\n"],
  ["with a NUL", "ssh\0"],
  ["with a port of 0", "0"],
  ["with a port of 65,536", "65536"],
  ["that is not canonical", "LOCALHOST:0022"],
] as const;

const badNames: readonly (readonly [string, string | Uint8Array])[] = [
  ["of 1,000 characters", "x".repeat(1_000)],
  ["that is empty", ""],
  ["with control characters", "lan\u0007box\u001b[2J"],
  ["with a line break", "lan-box\n"],
  ["in capitals", "LAN-BOX"],
  ["that is not UTF-8", bytes(0x6c, 0xff, 0xfe)],
];

interface BadTip {
  readonly name: string;
  readonly bytes: Buffer;
  readonly status: number;
  readonly fin?: boolean;
}

describe("bad tips to the relay", () => {
  it("answers each with its status at once, counts it, and goes on as if nothing had been", async () => {
    const { trial, session } = await useRawTrial();
    const target = String(trial.targetPort);
    const request: MakeRequest = (parts) => rawConnect({ target, ...parts });
    const offer = rawOffer({ clientId: session.peer, target });
    const tips: readonly BadTip[] = [
      ...badTips(request, offer),
      ...badNames.map(([name, server]) => ({
        name: `a server name ${name}`,
        bytes: rawConnect({ server, target }),
        status: Status.malformed,
      })),
    ];
    const baseline = await trial.baseline();
    const before = await refusals(trial);
    for (const tip of tips) await expectRefused(session, tip);
    const after = await refusals(trial);
    expect(after.tipErrors - before.tipErrors).toBe(tips.length);
    expect(after.refused - before.refused).toBe(tips.length);

    // The same session still works, and so does everybody else's.
    const good = await speak(session, rawConnect({ target }));
    expect(good).toMatchObject({ kind: "answered", tip: { status: Status.ok } });
    await trial.backTo(baseline);
    expectAlive(trial);
    expect(trial.log()).not.toContain("\u001b");
  });

  it("ends streams that are slow or silent at the tip deadline, however the bytes trickle", async () => {
    const { trial, session } = await useRawTrial();
    const good = rawConnect({ target: String(trial.targetPort) });
    const single = [...good].map((byte) => Uint8Array.of(byte));
    const baseline = await trial.baseline();
    const outcomes = await Promise.all([
      speak(session, bytes(1)),
      speak(session, good.subarray(0, good.length - 1)),
      speak(session, single, { pauseMs: 100 }),
      ...Array.from({ length: 50 }, () => speak(session, bytes(1, 40))),
    ]);
    for (const outcome of outcomes) {
      expectMalformedOrClosed(outcome);
      expect(outcome.tookMs).toBeGreaterThanOrEqual(tipDeadlineMs * 0.8);
      expect(outcome.tookMs).toBeLessThanOrEqual(tipDeadlineMs + promptMs);
    }
    expect((await refusals(trial)).tipErrors).toBe(outcomes.length);
    await trial.backTo(baseline);
    expectAlive(trial);
  });

  it("takes a tip in single bytes, if they come in time", async () => {
    const { trial, session } = await useRawTrial();
    const single = [...rawConnect({ target: String(trial.targetPort) })].map((byte) =>
      Uint8Array.of(byte),
    );
    const outcome = await speak(session, single, { pauseMs: 2 });
    expect(outcome).toMatchObject({ kind: "answered", tip: { status: Status.ok } });
  });

  it("outlives 400 tips with flipped, cut or random bytes", async () => {
    const { trial, session } = await useRawTrial();
    const seed = randomInt(2 ** 32 - 1);
    console.log(`seed of the broken tips: ${seed}`);
    const random = seededRandom(seed);
    const target = String(trial.targetPort);
    const baseline = await trial.baseline();
    for (let batch = 0; batch < 8; batch += 1) {
      const tips = Array.from({ length: 50 }, () => broken(rawConnect({ target }), random));
      await Promise.all(tips.map((tip) => speak(session, tip, { fin: true })));
    }
    await trial.backTo(baseline);
    expectAlive(trial);
    const good = await speak(session, rawConnect({ target }));
    expect(good).toMatchObject({ kind: "answered", tip: { status: Status.ok } });
  });
});

describe("a session that is not attached", () => {
  it.each([
    ["says nothing", undefined],
    ["opens with garbage", Buffer.concat([bytes(1), varint(100), Buffer.alloc(100, 0xff)])],
    ["opens with a Connect", rawConnect({ target: "22" })],
    ["speaks another version", Buffer.concat([bytes(9), rawConnect({ target: "22" })])],
    ["attaches in a role that does not exist", frame(bytesField(1, numberField(1, 7)))],
  ])("%s: is closed at the tip deadline at the latest, and counted", async (_, first) => {
    const trial = await useShortTrial();
    const session = await dialRelay(trial, trial.path("client.key"));
    if (first !== undefined) await speak(session, first);
    const { tookMs } = await timed(() => session.closed);
    expect(tookMs).toBeLessThanOrEqual(tipDeadlineMs + 2 * promptMs);
    await waitUntil("the refusal is counted", async () => {
      return total(await trial.metrics(), "culvert_relay_sessions_refused_total") === 1;
    });
    expect(trial.daemon("relay").named("relay.session.refused")).toHaveLength(1);
    expectAlive(trial);
  });

  it("of an unknown key, or in the wrong role, is refused with the reason", async () => {
    const trial = await useShortTrial();
    const stranger = trial.path("stranger.key");
    expect((await culvert(["key", "generate", stranger])).code).toBe(0);
    for (const [keyFile, role] of [
      [stranger, "client"],
      [stranger, "server"],
      [trial.path("client.key"), "server"],
      [trial.path("server.key"), "client"],
    ] as const) {
      const session = await dialRelay(trial, keyFile);
      const answer = await attachAs(session, role);
      expect(statusName(answer.status)).toBe("permission_denied_by_relay");
      expect(answer.text).toMatch(/\w/);
      await session.closed;
    }
    const page = await trial.metrics();
    const counted = "culvert_relay_sessions_refused_total";
    expect(total(page, counted, 'reason="unknown_peer"')).toBe(2);
    expect(total(page, counted, 'reason="wrong_role"')).toBe(2);
  });

  it("cannot fill the relay with streams before it attaches", async () => {
    const trial = await useShortTrial();
    const baseline = await trial.baseline();
    const session = await dialRelay(trial, trial.path("client.key"));
    await flood(session, 3_000, bytes(1, 40));
    await session.closed;
    await trial.backTo(baseline);
    expectAlive(trial);
  });
});

describe("streams as fast as they can be opened", () => {
  it("are held to limits.connectionsPerClient, and the answer names it", async () => {
    const limit = 40;
    const { trial, session } = await useRawTrial((config) => {
      config["limits"] = { tipDeadline: `${tipDeadlineMs}ms`, connectionsPerClient: limit };
    });
    const target = String(trial.targetPort);
    const streams: ByteStream[] = [];
    const answers = await Promise.all(
      Array.from({ length: 400 }, async () => {
        const stream = await session.openStream();
        stream.on("error", () => undefined);
        streams.push(stream);
        stream.write(rawConnect({ target }));
        return firstByteOfAnswer(stream);
      }),
    );
    const { connections } = await trial.status("relay");
    expect(connections.length).toBeLessThanOrEqual(limit);
    expect(connections.length).toBeGreaterThan(limit / 2);
    expect(answers.every((answered) => answered)).toBe(true);
    const refused = await speak(session, rawConnect({ target }));
    expect(refused).toMatchObject({
      kind: "answered",
      tip: { status: Status.resource_limit, limit: "connectionsPerClient" },
    });
    const page = await trial.metrics();
    const counted = "culvert_relay_connections_refused_total";
    expect(total(page, counted, 'status="resource_limit"')).toBeGreaterThan(0);
    for (const stream of streams) stream.destroy();
    await trial.quiet();
    await sessionRecovers(session, target);
    expectAlive(trial);
  });

  it("are held to quic.maxStreams", async () => {
    const { trial, session } = await useRawTrial((config) => {
      config["quic"] = { maxStreams: 30 };
    });
    const opened = await flood(session, 200, rawConnect({ target: String(trial.targetPort) }));
    expect(opened.opened).toBeLessThanOrEqual(30);
    expect(opened.refused).toBeGreaterThan(0);
    expectAlive(trial);
  });

  it("are opened and reset ten thousand times without a trace", async () => {
    const { trial, session } = await useRawTrial(undefined, measurable);
    const target = String(trial.targetPort);
    const resets = async (count: number): Promise<void> => {
      for (let done = 0; done < count; done += 100) {
        await Promise.all(
          Array.from({ length: 100 }, async () => {
            const stream = await session.openStream();
            stream.on("error", () => undefined);
            stream.write(rawConnect({ target }));
            stream.destroy();
          }),
        );
      }
      await trial.quiet();
    };
    await resets(2_000);
    const baseline = await trial.baseline();
    const heaps = await trial.liveHeaps();
    await resets(10_000);
    for (const [role, bytesAfter] of await trial.liveHeaps()) {
      // A hundred bytes for each would be a leak.
      expect(bytesAfter - heaps.get(role)!, `growth of the ${role}'s heap`).toBeLessThan(1_000_000);
    }
    // What V8 and the allocator keep for the next time; 13 KiB for each would be a leak outside the heap.
    await trial.backTo(baseline, 128 * 1024 * 1024, 10_000);
    await sessionRecovers(session, target);
    expectAlive(trial);
  });
});

describe("a relay that misbehaves towards the server", () => {
  it("gets every bad Offer refused, and the server goes on", async () => {
    const { trial, session, clientId } = await useFakeRelayWithServer();
    const target = String(trial.targetPort);
    const request: MakeRequest = (parts) => rawOffer({ clientId, target, ...parts });
    const tips: readonly BadTip[] = [
      ...badTips(request, rawConnect({ target })),
      {
        name: "a client id that is none",
        bytes: rawOffer({ clientId: "12D3KooWnobody", target }),
        status: Status.malformed,
      },
      {
        name: "an inner layer of garbage",
        bytes: rawOffer({ clientId, target, inner: Buffer.alloc(50, 0xff) }),
        status: Status.malformed,
      },
      {
        name: "another target inside than outside",
        bytes: rawOffer({ clientId, target, inner: rawForward("22") }),
        status: Status.permission_denied_by_server,
      },
      {
        name: "a target that is not allowed",
        bytes: rawOffer({ clientId, target: "22" }),
        status: Status.permission_denied_by_server,
      },
    ];
    for (const tip of tips) await expectRefused(session, tip);
    const slow = await Promise.all(
      [bytes(1), rawOffer({ clientId, target }).subarray(0, 30)].map((tip) =>
        speak(session, tip, { ms: 8_000 }),
      ),
    );
    for (const outcome of slow) {
      expectMalformedOrClosed(outcome);
      expect(outcome.tookMs).toBeGreaterThan(4_000);
    }
    const good = await speak(session, request({}));
    expect(good).toMatchObject({ kind: "answered", tip: { status: Status.ok } });
    await waitUntil("no connection left", async () => {
      return (await trial.status("server")).connections.length === 0;
    });
    expect(trial.daemon("server").child.running).toBe(true);
    const refused = trial.daemon("server").named("server.connection.refused");
    // Each is refused, and the log is not flooded: 20 lines of an event in ten seconds.
    expect(tips.length + slow.length).toBeGreaterThan(20);
    expect(refused).toHaveLength(20);
  });

  it.each([
    ["garbage", Buffer.alloc(64, 0xff)],
    ["a status that nobody knows", rawAttachAnswer(999)],
    ["another version", Buffer.concat([bytes(7), rawAttachAnswer(100).subarray(1)])],
    ["an Answer instead", rawAnswer(100)],
    ["a name with control characters", rawAttachAnswer(100, "a\u001b[2Jb")],
    ["nothing but an end", Buffer.alloc(0)],
  ])("answers an Attach with %s: the server tries again and stays", async (_, answer) => {
    const trial = await useTrial();
    const relay = await useFakeRelay(trial, {
      answerAttach: (stream) => stream.end(answer),
    });
    const server = trial.launch("server");
    await waitUntil("two attempts", () => relay.attaches >= 2, { withinMs: 15_000 });
    expect(server.lines).toEqual([]);
    expect(server.child.running).toBe(true);
    const failures = [...server.named("link.retry"), ...server.named("link.refused")];
    expect(failures.length).toBeGreaterThan(0);
    expect(JSON.stringify(failures)).not.toContain("\u001b");
  });

  it("says ok and closes at once, again and again: the server backs off", async () => {
    const trial = await useTrial();
    const relay = await useFakeRelay(trial, {
      answerAttach: (stream) => stream.end(rawAttachAnswer(100)),
    });
    const server = trial.launch("server");
    let closed = 0;
    const start = performance.now();
    await waitUntil(
      "six sessions",
      () => {
        for (; closed < relay.sessions.length; closed += 1) {
          relay.sessions[closed]!.close({ by: "us", code: "no", text: "go away" });
        }
        return relay.sessions.length >= 6;
      },
      { withinMs: 30_000 },
    );
    expect(performance.now() - start).toBeGreaterThan(500);
    expect(server.child.running).toBe(true);
  });
});

describe("a relay that misbehaves towards the client", () => {
  it.each([
    ["garbage", Buffer.alloc(64, 0xff), "unsupported_version"],
    ["an oversized tip", Buffer.concat([bytes(1), varint(16_385)]), "frame_too_large"],
    ["another version", withByte(rawAnswer(100), 0, 3), "unsupported_version"],
    ["a status that nobody knows", rawAnswer(999, "from the future"), "unknown"],
    ["a text with control characters", rawAnswer(204, "no\u001b[2J\u0007"), undefined],
    ["an Offer", rawOffer({ clientId: "x", target: "22" }), undefined],
    ["half an answer and an end", rawAnswer(100).subarray(0, 3), "truncated"],
    ["nothing but an end", Buffer.alloc(0), "truncated"],
  ])("answers a Connect with %s: P1 is closed at once", async (_, answer, status) => {
    const { trial } = await useFakeRelayWithClient((stream) => stream.end(answer));
    for (let round = 0; round < 3; round += 1) await closedWithin(trial.listenPort, promptMs);
    const refused = trial.daemon("client").named("client.connection.refused");
    expect(refused).toHaveLength(3);
    if (status !== undefined) expect(refused[0]).toMatchObject({ status });
    expect(JSON.stringify(refused)).not.toContain("\u001b");
    await expectClientQuiet(trial);
  });

  it("never answers: P1 is closed when connectTimeout is over", async () => {
    const { trial } = await useFakeRelayWithClient(() => undefined);
    const tookMs = await closedWithin(trial.listenPort, 1_500 + promptMs);
    expect(tookMs).toBeGreaterThanOrEqual(1_400);
    await expectClientQuiet(trial);
  });

  it("resets the stream, before and after its answer: P1 is closed at once", async () => {
    const { trial } = await useFakeRelayWithClient((stream) => {
      stream.destroy();
    });
    await closedWithin(trial.listenPort, promptMs);
    await expectClientQuiet(trial);

    const second = await useFakeRelayWithClient((stream) => {
      stream.write(Buffer.concat([rawAnswer(100), Buffer.from("welcome")]));
      stream.once("readable", () => undefined);
      stream.on("data", (chunk: Buffer) => {
        if (chunk.includes("now")) stream.destroy();
      });
    });
    const socket = await connectTcp(second.trial.listenPort);
    expect((await readExactly(socket, 7, 2_000)).toString()).toBe("welcome");
    socket.write("now");
    expect(await ending(socket, promptMs)).toBe("reset");
    await expectClientQuiet(second.trial);
  });

  it("opens streams towards the client: they are bounded, and harm nobody", async () => {
    const { trial, session } = await useFakeRelayWithClient((stream) => {
      stream.end(rawAnswer(204));
    });
    await flood(session, 20_000, bytes(1, 40));
    await closedWithin(trial.listenPort, 5_000);
    expect(trial.daemon("client").child.running).toBe(true);
  });
});

describe("garbage on other doors", () => {
  for (const engine of ["quiche", "quinn"] as const) {
    it(`random datagrams to the relay's UDP port, ${engine}`, async () => {
      const { trial } = await useRawTrial((config) => {
        config["quic"] = { engine };
      });
      const seed = randomInt(2 ** 32 - 1);
      console.log(`seed of the datagrams: ${seed}`);
      const random = seededRandom(seed);
      const baseline = await trial.baseline();
      const socket = createSocket("udp4");
      onTestFinished(() => {
        socket.close();
      });
      for (let sent = 0; sent < 20_000; sent += 1) {
        const size = 1 + Math.floor(random.fraction() * 1_400);
        const datagram = Buffer.from(random.bytes(size));
        // A long header of version 1, of an unknown version, of a short header, or anything.
        const shape = sent % 4;
        if (shape === 0) datagram.set([0xc0, 0, 0, 0, 1].slice(0, size));
        if (shape === 1) datagram.set([0xc0, 0xfa, 0xce, 0xb0, 0x0c].slice(0, size));
        if (shape === 2) datagram[0] = 0x40 + (datagram[0]! & 0x3f);
        await new Promise((done) => socket.send(datagram, trial.relayPort, "127.0.0.1", done));
      }
      await echoOnce(trial.listenPort, 5_000);
      await trial.backTo(baseline, 48 * 1024 * 1024, 15_000);
      const drops = total(await trial.metrics(), "culvert_quic_datagrams_dropped_total");
      if (engine === "quiche") expect(drops).toBeGreaterThan(1_000);
      expectAlive(trial);
    });
  }

  it("to the SOCKS5 and HTTP proxies, the admin port and the status socket", async () => {
    const socksPort = await freePort();
    const httpPort = await freePort();
    const trial = await useTrial();
    await useEcho(trial);
    await trial.edit("client", (config) => {
      config["socks"] = { listen: `127.0.0.1:${socksPort}` };
      config["httpProxy"] = { listen: `127.0.0.1:${httpPort}` };
    });
    await trial.start();
    await trial.attached();
    const baseline = await trial.baseline();
    const nasty = [
      Buffer.alloc(600, 0xff),
      Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
      Buffer.from(`CONNECT ${"x".repeat(100_000)}`),
      Buffer.from("CONNECT lan-box:0 HTTP/1.1\r\n\r\n"),
      Buffer.from("CONNECT :::::: HTTP/1.1\r\n\r\n"),
      Buffer.from("CONNECT lan-box:22 HTTP/1.1\r\nA: " + "y".repeat(200_000)),
      bytes(5, 0),
      bytes(5, 1, 0xff),
      Buffer.concat([bytes(5, 1, 0), bytes(5, 2, 0, 1, 127, 0, 0, 1, 0, 22)]),
      Buffer.concat([
        bytes(5, 1, 0),
        bytes(5, 1, 0, 3, 255),
        Buffer.alloc(255, 0x0a),
        bytes(0, 22),
      ]),
      Buffer.concat([bytes(5, 1, 0), bytes(5, 1, 0, 9)]),
      bytes(4, 1, 0, 80, 127, 0, 0, 1, 0),
    ];
    for (const port of [socksPort, httpPort, trial.adminPort]) {
      for (const words of nasty) {
        const socket = await connectTcp(port);
        socket.end(words);
        await ending(socket, 3_000);
        socket.destroy();
      }
    }
    // Those that say nothing at all are closed as well, in the time that a proxy handshake may take.
    const silent = await Promise.all([socksPort, httpPort].map((port) => connectTcp(port)));
    await Promise.all(silent.map((socket) => ending(socket, 12_000)));
    await recovers(trial.listenPort);
    await trial.backTo(baseline);
    expectAlive(trial);
  });
});

/** A trial whose relay gives peers one second for a tip; relay and server run, and an echo stands at the target. */
async function useShortTrial(edit?: (config: Record<string, unknown>) => void): Promise<Trial> {
  const trial = await useTrial();
  await useEcho(trial);
  await trial.edit("relay", (config) => {
    config["limits"] = { tipDeadline: `${tipDeadlineMs}ms` };
    edit?.(config);
  });
  await trial.start(["relay", "server"]);
  return trial;
}

/** The same, a client that runs, and beside it a raw session with a key of its own and the same rights. */
async function useRawTrial(
  edit?: (config: Record<string, unknown>) => void,
  options: DaemonOptions = {},
): Promise<{ readonly trial: Trial; readonly session: Session }> {
  const trial = await useTrial();
  await useEcho(trial);
  const keyFile = trial.path("raw.key");
  const made = await culvert(["key", "generate", keyFile]);
  const id = made.stdout.trim();
  await trial.edit("relay", (config) => {
    config["limits"] = { tipDeadline: `${tipDeadlineMs}ms` };
    config["peers"] = [...(config["peers"] as unknown[]), { name: "raw", id, role: "client" }];
    const services = [trial.targetPort];
    const grant = { client: "raw", server: "lan-box", services };
    config["grants"] = [...(config["grants"] as unknown[]), grant];
    edit?.(config);
  });
  await trial.start(roles, options);
  const session = await dialRelay(trial, keyFile);
  const answer = await attachAs(session, "client");
  expect(answer.status).toBe(Status.ok);
  await trial.attached();
  return { trial, session };
}

async function useFakeRelayWithServer(): Promise<{
  readonly trial: Trial;
  readonly session: Session;
  readonly clientId: string;
}> {
  const trial = await useTrial();
  await useEcho(trial);
  const relay = await useFakeRelay(trial, {
    answerAttach: (stream) => stream.end(rawAttachAnswer(100)),
  });
  await trial.startOne("server");
  const shown = await culvert(["key", "show", trial.path("client.key")]);
  return { trial, session: await attachedSession(relay), clientId: shown.stdout.trim() };
}

async function useFakeRelayWithClient(serve: (stream: ByteStream) => void): Promise<{
  readonly trial: Trial;
  readonly session: Session;
}> {
  const trial = await useTrial();
  await trial.edit("client", (config) => {
    config["connectTimeout"] = "1500ms";
  });
  const relay = await useFakeRelay(trial, {
    answerAttach: (stream) => stream.end(rawAttachAnswer(100, "laptop")),
    serve,
  });
  await trial.startOne("client");
  return { trial, session: await attachedSession(relay) };
}

async function expectRefused(session: Session, tip: BadTip): Promise<void> {
  const outcome = await speak(session, tip.bytes, { fin: tip.fin ?? false });
  expect(outcome.kind, tip.name).toBe("answered");
  if (outcome.kind !== "answered" || outcome.tip.kind !== "answer") throw new Error(tip.name);
  expect(statusName(outcome.tip.status), tip.name).toBe(statusName(tip.status));
  expect(outcome.tookMs, tip.name).toBeLessThanOrEqual(promptMs);
}

function expectMalformedOrClosed(outcome: Outcome): void {
  if (outcome.kind === "closed") return;
  expect(outcome.tip).toMatchObject({ kind: "answer", status: Status.malformed });
}

function expectAlive(trial: Trial): void {
  for (const role of ["relay", "server"] as const) {
    const daemon = trial.daemon(role);
    expect(daemon.child.running, `${role} runs`).toBe(true);
    expect(daemon.strayLines, role).toEqual([]);
    for (const event of ["daemon.fault", "daemon.failed"]) expect(daemon.named(event)).toEqual([]);
  }
}

async function expectClientQuiet(trial: Trial): Promise<void> {
  await waitUntil("the client has nothing open", async () => {
    const status = await trial.status("client");
    return status.connections.length === 0 && status.link.session?.openStreams === 0;
  });
  expect(trial.daemon("client").child.running).toBe(true);
}

async function refusals(trial: Trial): Promise<{ tipErrors: number; refused: number }> {
  const page = await trial.metrics();
  return {
    tipErrors: total(page, "culvert_relay_tip_errors_total"),
    refused: total(page, "culvert_relay_connections_refused_total"),
  };
}

/** Waits until a raw session gets a good answer again. */
async function sessionRecovers(session: Session, target: string): Promise<void> {
  await waitUntil("a good answer", async () => {
    const outcome = await speak(session, rawConnect({ target }));
    return outcome.kind === "answered" && "status" in outcome.tip && outcome.tip.status === 100;
  });
}

/** Opens streams as fast as the session lets us, each with a few bytes, and leaves them open. */
async function flood(
  session: Session,
  count: number,
  first: Uint8Array,
): Promise<{ readonly opened: number; readonly refused: number }> {
  let opened = 0;
  let refused = 0;
  for (let done = 0; done < count; done += 1) {
    try {
      const stream = await session.openStream();
      stream.on("error", () => undefined);
      stream.write(first);
      opened += 1;
    } catch (error) {
      refused += 1;
      if (!(error instanceof LimitError)) break;
    }
  }
  return { opened, refused };
}

function firstByteOfAnswer(stream: ByteStream): Promise<boolean> {
  return new Promise((resolve) => {
    stream.once("readable", () => {
      resolve(stream.read(1) !== null);
    });
    stream.once("close", () => {
      resolve(false);
    });
  });
}

/** A lawful tip with one to four bytes changed, cut short, or replaced. */
function broken(tip: Buffer, random: ReturnType<typeof seededRandom>): Buffer {
  const result = Buffer.from(tip);
  const pick = (below: number): number => Math.floor(random.fraction() * below);
  switch (pick(3)) {
    case 0:
      for (let flips = pick(4); flips >= 0; flips -= 1) {
        const at = pick(result.length);
        result[at] = result[at]! ^ (1 << pick(8));
      }
      return result;
    case 1:
      return result.subarray(0, 1 + pick(result.length - 1));
    default:
      return Buffer.from(random.bytes(1 + pick(200)));
  }
}

function garbage(): Buffer {
  return Buffer.concat([bytes(1, 100), Buffer.alloc(100, 0xff)]);
}

function bytes(...values: readonly number[]): Buffer {
  return Buffer.from(values);
}

function withByte(tip: Buffer, at: number, value: number): Buffer {
  const result = Buffer.from(tip);
  result[at] = value;
  return result;
}
