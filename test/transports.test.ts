import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import type { Writable } from "node:stream";
import { describe, expect, it } from "vitest";
import { Child } from "./support/child.ts";
import { useConnectProxy } from "./support/connect-proxy.ts";
import { openLive, recovers, useEcho } from "./support/connections.ts";
import type { LogEvent } from "./support/daemon.ts";
import { Nat } from "./support/nat.ts";
import { useTwoNamespaces, type Namespace, type TwoNamespaces } from "./support/netns.ts";
import { fetchMetrics, total } from "./support/prometheus.ts";
import { freePort } from "./support/ports.ts";
import { missing, notRoot } from "./support/requires.ts";
import { digest } from "./support/tcp.ts";
import { endWithTest } from "./support/temp-folder.ts";
import { bothTransports, useTrial, type Config, type Trial } from "./support/trial.ts";
import { waitUntil, within } from "./support/wait.ts";

const mebibyte = 1024 * 1024;
const byWebSocket = "mproxy/websocket";

describe.skipIf(notRoot("blocking UDP in a network namespace") || missing("ip", "iptables", "nc"))(
  "where UDP is blocked",
  () => {
    it("the session is up by WebSocket within 1 s, and moves to QUIC when that passes: new connections first", async () => {
      const net = await useTwoNamespaces();
      const trial = await useSplitTrial(net);
      await net.wan.sh("iptables -A INPUT -p udp -j DROP");
      await trial.startOne("relay", { prefix: net.wan.prefix });
      for (const role of ["server", "client"] as const) {
        const daemon = await trial.startOne(role, { prefix: net.lan.prefix });
        const [dialing] = daemon.named("link.dialing");
        const attached = await waitUntil(
          "a line in the log",
          () => daemon.named(`${role}.attached`)[0],
        );
        expect(attached).toMatchObject({ transport: byWebSocket });
        expect(at(attached) - at(dialing), `ms until the ${role}'s session`).toBeLessThan(1_000);
      }
      expect(await carriers(trial)).toEqual([[byWebSocket], [byWebSocket]]);

      // A connection that is in the middle of its bytes when the link moves.
      await useEchoInside(net.lan, trial);
      const user = inside(net.lan, ["nc", "-N", "127.0.0.1", String(trial.listenPort)]);
      const received = digest(user.stdout);
      const hash = createHash("sha256");
      await send(user.stdin, 8 * mebibyte, hash);
      await net.wan.sh("iptables -D INPUT -p udp -j DROP");
      for (const role of ["server", "client"] as const) {
        await waitUntil(`the ${role} moves`, () => trial.daemon(role).named("link.moved")[0], {
          // One attempt may be under way for the whole of its handshake time-out.
          withinMs: 20_000,
        });
      }
      expect(await carriers(trial)).toEqual([
        ["quic/quinn", `${byWebSocket}, leaving`],
        ["quic/quinn", `${byWebSocket}, leaving`],
      ]);
      const before = await receivedBytes(trial, "lan-box", "quic/quinn");
      await transfer(net.lan, trial, 2 * mebibyte);
      expect(await receivedBytes(trial, "lan-box", "quic/quinn")).toBeGreaterThan(
        before + 2 * mebibyte - 1,
      );

      const byOld = await receivedBytes(trial, "lan-box", byWebSocket);
      await send(user.stdin, 8 * mebibyte, hash);
      user.stdin.end();
      expect(await within(20_000, "the whole transfer", received)).toEqual({
        bytes: 16 * mebibyte,
        sha256: hash.digest("hex"),
      });
      for (const role of ["server", "client"] as const) {
        const [left] = await waitUntil(
          `the ${role} closes what it has left`,
          () =>
            trial.daemon(role).named("link.left").length > 0 &&
            trial.daemon(role).named("link.left"),
          { withinMs: 15_000 },
        );
        expect(left).toMatchObject({ by: "us", code: "moved", transport: byWebSocket });
        expect(trial.daemon(role).named(`${role}.detached`)).toEqual([]);
      }
      expect(byOld).toBeGreaterThan(0);
      await waitUntil("QUIC alone", async () =>
        (await carriers(trial)).every((each) => each.length === 1),
      );
      const moved = trial.daemon("relay").named("relay.session.moved");
      // Who moves first is nobody's promise.
      const moves = moved.map(({ peer, from, transport }) => ({ peer, from, transport }));
      expect(moves.sort((a, b) => String(a.peer).localeCompare(String(b.peer)))).toEqual(
        ["lan-box", "laptop"].map((peer) => ({ peer, from: byWebSocket, transport: "quic/quinn" })),
      );
      expect(trial.daemon("relay").named("relay.session.superseded")).toEqual([]);
      await trial.quiet();
    });

    it("comes back by WebSocket where UDP is blocked later", async () => {
      const net = await useTwoNamespaces();
      const trial = await useSplitTrial(net);
      await trial.startOne("relay", { prefix: net.wan.prefix });
      for (const role of ["server", "client"] as const) {
        await trial.startOne(role, { prefix: net.lan.prefix });
      }
      expect(await carriers(trial)).toEqual([["quic/quinn"], ["quic/quinn"]]);
      await net.wan.sh("iptables -A INPUT -p udp -j DROP");
      // The silence is noticed by the idle time-out, and then there is the second way.
      await waitUntil(
        "both by WebSocket",
        async () =>
          (await carriers(trial)).every((each) => each.length === 1 && each[0] === byWebSocket),
        { withinMs: 20_000 },
      );
      await useEchoInside(net.lan, trial);
      await transfer(net.lan, trial, mebibyte);
    });
  },
);

describe("where a NAT lets UDP out later", () => {
  it("quiche: the session moves, an open connection goes on where it is, and new ones come by QUIC", async () => {
    const trial = await useTrial(bothTransports);
    await useEcho(trial);
    const nat = await Nat.use(trial.relayPort);
    nat.blocked = true;
    for (const role of ["server", "client"] as const) {
      await trial.edit(role, (config) => {
        (config["relay"] as Config)["address"] = `127.0.0.1:${nat.port}`;
      });
    }
    await trial.start();
    await trial.attached();
    expect(await carriers(trial)).toEqual([[byWebSocket], [byWebSocket]]);
    const live = await openLive(trial.listenPort);
    nat.blocked = false;
    await waitUntil(
      "both by QUIC",
      async () => (await carriers(trial)).every((each) => each[0] === "quic/quiche"),
      { withinMs: 20_000 },
    );
    const before = await receivedBytes(trial, "laptop", "quic/quiche");
    await recovers(trial.listenPort);
    expect(await receivedBytes(trial, "laptop", "quic/quiche")).toBeGreaterThan(before);
    live.write("still there?");
    await waitUntil("the echo", () => live.read() !== null);
    const { link } = await trial.status("client");
    expect(link).toMatchObject({
      session: { transport: "quic/quiche" },
      leaving: [{ transport: byWebSocket, openStreams: 1 }],
    });
    live.destroy();
    await waitUntil("QUIC alone", async () => (await carriers(trial)).flat().length === 2, {
      withinMs: 15_000,
    });
    await trial.quiet();
  });
});

describe("WebSocket alone", () => {
  it("carries everything, and says so in status and metrics", async () => {
    const trial = await useWebSocketTrial();
    const admin = await freePort();
    await trial.edit("client", (config) => {
      config["admin"] = { listen: `127.0.0.1:${admin}` };
    });
    await useEcho(trial);
    await trial.start();
    await trial.attached();
    expect(trial.daemon("relay").lines).toEqual([`ready relay https 127.0.0.1:${trial.webPort}`]);
    await openLive(trial.listenPort);
    expect((await trial.status("client")).link.session?.transport).toBe(byWebSocket);
    const client = await fetchMetrics(admin);
    expect(total(client, "culvert_link_transport")).toBe(1);
    expect(client.samples).toContainEqual({
      name: "culvert_link_transport",
      labels: `{transport="${byWebSocket}"}`,
      value: 1,
    });
    expect(total(await trial.metrics(), "culvert_relay_transport_sessions")).toBe(2);
  });

  it("finds a relay that was killed and started again", async () => {
    const trial = await useWebSocketTrial();
    await useEcho(trial);
    await trial.start();
    await recovers(trial.listenPort);
    await trial.daemon("relay").kill();
    await trial.startOne("relay");
    await recovers(trial.listenPort, 5_000);
  });

  it("goes through an HTTP proxy that https_proxy names, with its user and password", async () => {
    const trial = await useWebSocketTrial();
    await useEcho(trial);
    const proxy = await useConnectProxy(trial.webPort);
    for (const role of ["server", "client"] as const) {
      await trial.edit(role, (config) => {
        // A name that only the proxy knows.
        (config["relay"] as Config)["wss"] = "relay.test:443";
      });
    }
    const https_proxy = `http://user:s3cret@127.0.0.1:${proxy.port}`;
    await trial.startOne("relay");
    const env = { https_proxy, no_proxy: "other.test", HTTPS_PROXY: "", NO_PROXY: "" };
    for (const role of ["server", "client"] as const) await trial.startOne(role, { env });
    await recovers(trial.listenPort);
    expect(proxy.asked).toEqual([
      { target: "relay.test:443", authorization: `Basic ${btoa("user:s3cret")}` },
      { target: "relay.test:443", authorization: `Basic ${btoa("user:s3cret")}` },
    ]);
    expect(trial.log()).not.toContain("s3cret");
  });
});

describe("what the user reads where WebSocket does not work", () => {
  const cases: readonly {
    readonly what: string;
    readonly change: (relay: Config, trial: Trial) => void;
    readonly says: RegExp;
  }[] = [
    {
      what: "another relay id",
      change: (relay) => {
        relay["id"] = "12D3KooWMEJpZ5V8AutHoFTXLiRZZ7kqBAy9CdyrdYuWNG1JimL1";
      },
      says: /^expected peer 12D3KooWMEJ\w+, met 12D3KooW\w+ \(relay\.id must be the id of the relay at relay\.wss\)$/,
    },
    {
      what: "behindProxy, and a certificate that no authority vouches for",
      change: (relay) => {
        relay["behindProxy"] = true;
      },
      says: /^no TLS with 127\.0\.0\.1: self-signed certificate \(relay\.caFile names the authorities to trust/,
    },
    {
      what: "nothing that listens",
      change: (relay) => {
        relay["wss"] = "127.0.0.1:1";
      },
      says: /^no connection to 127\.0\.0\.1:1: .*ECONNREFUSED.* \(the relay listens there only where its web\.https says so/,
    },
    {
      what: "a port where no TLS is spoken",
      change: (relay, trial) => {
        relay["wss"] = `127.0.0.1:${trial.adminPort}`;
      },
      says: /^no TLS with 127\.0\.0\.1: .* \(relay\.wss must lead to web\.https of the relay, by a name/,
    },
    {
      what: "a proxy that is none",
      change: (relay, trial) => {
        relay["proxy"] = `http://127.0.0.1:${trial.adminPort}`;
      },
      says: /^the proxy 127\.0\.0\.1:\d+ did not connect to 127\.0\.0\.1:\d+: status 4\d\d$|^the proxy 127\.0\.0\.1:\d+: /,
    },
  ];

  it.each(cases)("$what", async ({ change, says }) => {
    const trial = await useWebSocketTrial();
    await trial.edit("client", (config) => change(config["relay"] as Config, trial));
    await trial.startOne("relay");
    expect(await firstFailure(trial)).toMatch(says);
  });

  it("both transports: what each of them met", async () => {
    const trial = await useTrial(bothTransports);
    await trial.edit("relay", (config) => delete config["web"]);
    await trial.edit("client", (config) => {
      (config["relay"] as Config)["address"] = `127.0.0.1:${trial.relayPort + 1}`;
    });
    await trial.startOne("relay");
    expect(await firstFailure(trial)).toMatch(/^quic: .+; wss: no connection to .+ECONNREFUSED/);
  });
});

/** Relay in one namespace, the rest in the other; the log says everything. */
async function useSplitTrial(net: TwoNamespaces): Promise<Trial> {
  const trial = await useTrial(bothTransports);
  const address = `${net.wanAddress}:${trial.relayPort}`;
  const web = `${net.wanAddress}:${trial.webPort}`;
  await trial.edit("relay", (config) => {
    config["listen"] = [address];
    config["web"] = { https: [web] };
  });
  for (const role of ["server", "client"] as const) {
    await trial.edit(role, (config) => {
      Object.assign(config["relay"] as Config, { address, wss: web });
      config["log"] = { level: "debug" };
    });
  }
  return trial;
}

async function useWebSocketTrial(): Promise<Trial> {
  const trial = await useTrial({ transports: ["wss"] });
  await trial.edit("relay", (config) => {
    config["listen"] = [];
  });
  return trial;
}

/** What carries the sessions of each peer. */
async function carriers(trial: Trial): Promise<readonly (readonly string[])[]> {
  return (await trial.status("relay")).peers.map(({ sessions }) =>
    sessions.map(({ transport, leaving }) => transport + (leaving ? ", leaving" : "")),
  );
}

async function receivedBytes(trial: Trial, peer: string, transport: string): Promise<number> {
  return (await trial.status("relay")).peers
    .filter(({ name }) => name === peer)
    .flatMap(({ sessions }) => sessions)
    .filter((session) => session.transport === transport)
    .reduce((sum, session) => sum + session.receivedBytes, 0);
}

async function firstFailure(trial: Trial): Promise<unknown> {
  const client = trial.launch("client");
  const retry = await waitUntil("the client's first failure", () => client.named("link.retry")[0], {
    withinMs: 15_000,
  });
  return retry["reason"];
}

function at(event: LogEvent | undefined): number {
  return Date.parse(String(event?.["time"]));
}

/** An echo server at the trial's target port, inside a namespace. */
async function useEchoInside(namespace: Namespace, trial: Trial): Promise<void> {
  const script = `require("node:net").createServer({ allowHalfOpen: true }, (s) => s.pipe(s).on("error", () => {})).listen(${trial.targetPort}, "127.0.0.1")`;
  inside(namespace, [process.execPath, "-e", script]);
  await waitUntil("the echo server listens", async () =>
    (await namespace.sh("ss -Htln")).includes(`:${trial.targetPort} `),
  );
}

/** Bytes to the echo server and back on a connection of their own. */
async function transfer(namespace: Namespace, trial: Trial, bytes: number): Promise<void> {
  const user = inside(namespace, ["nc", "-N", "127.0.0.1", String(trial.listenPort)]);
  const received = digest(user.stdout);
  const hash = createHash("sha256");
  await send(user.stdin, bytes, hash);
  user.stdin.end();
  const sha256 = hash.digest("hex");
  expect(await within(20_000, "a transfer", received)).toEqual({ bytes, sha256 });
}

async function send(
  to: Writable,
  bytes: number,
  hash: ReturnType<typeof createHash>,
): Promise<void> {
  for (let sent = 0; sent < bytes; sent += 64 * 1024) {
    const chunk = randomBytes(64 * 1024);
    hash.update(chunk);
    if (!to.write(chunk)) await once(to, "drain");
  }
}

function inside(namespace: Namespace, command: readonly string[]): Child {
  const [program = "", ...args] = [...namespace.prefix, ...command];
  const child = new Child(program, args);
  child.stderr.resume();
  endWithTest(child);
  return child;
}
