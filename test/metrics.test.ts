import { createSocket, type Socket } from "node:dgram";
import { get } from "node:http";
import { expect, it, onTestFinished } from "vitest";
import { millis } from "@culvert/runtime";
import { closedWithin, openLive, recovers, useEcho } from "./support/connections.ts";
import { culvert } from "./support/culvert.ts";
import { Nat } from "./support/nat.ts";
import { freePort } from "./support/ports.ts";
import { fetchMetrics, total, type MetricsPage } from "./support/prometheus.ts";
import { makeCertificate, useSite } from "./support/public-entrance.ts";
import { attachAs, dialRelay, speak } from "./support/raw-peer.ts";
import { bothTransports, roles, useTrial, type Trial } from "./support/trial.ts";
import { connectTcp } from "./support/tcp.ts";
import { waitUntil } from "./support/wait.ts";

/** Metrics that rest on purpose, each with its reason. */
const mayRest = new Map([
  ["culvert_faults_survived_total", "counts defects; there is none that a peer could cause"],
  ["nodejs_active_requests", "requests of libuv under way at the moment of the scrape"],
  ["nodejs_active_requests_total", "the same"],
]);

it("every declared metric of all three daemons moves in a driven run, and none is declared twice", async () => {
  const trial = await useTrial(bothTransports);
  const echo = await useEcho(trial);
  const ports = { relay: trial.adminPort, server: await freePort(), client: await freePort() };
  for (const role of ["server", "client"] as const) {
    await trial.edit(role, (config) => {
      config["admin"] = { listen: `127.0.0.1:${ports[role]}` };
    });
  }
  await trial.edit("relay", (config) => {
    config["quic"] = { retryAboveHalfOpen: 0 };
    config["limits"] = { tipDeadline: "1s" };
  });
  const site = await useSite();
  const httpPort = await freePort();
  const { certFile, keyFile } = await makeCertificate(["app.example.com"]);
  await trial.edit("relay", (config) => {
    config["web"] = {
      ...(config["web"] as object),
      http: [`127.0.0.1:${httpPort}`],
      names: ["relay.example.com"],
      certificates: [{ certFile, keyFile }],
    };
    config["public"] = {
      names: [{ server: "lan-box", names: ["app.example.com"], http: "forward" }],
    };
  });
  await trial.edit("server", (config) => {
    config["expose"] = [{ name: "app.example.com", to: `127.0.0.1:${site.port}` }];
  });
  const nat = await Nat.use(trial.relayPort);
  nat.blocked = true;
  for (const role of ["server", "client"] as const) {
    await trial.edit(role, (config) => {
      config["relay"] = { ...(config["relay"] as object), address: `127.0.0.1:${nat.port}` };
    });
  }
  const moved = new Map(roles.map((role) => [role, new Set<string>()]));
  const latest = new Map<string, MetricsPage>();
  const look = async (): Promise<void> => {
    for (const role of roles) {
      if (!trial.daemon(role).child.running) continue;
      const page = await fetchMetrics(ports[role]);
      latest.set(role, page);
      for (const { name, value } of page.samples) {
        if (value !== 0) moved.get(role)!.add(name);
      }
    }
  };
  await trial.start();
  await trial.attached();
  await look();

  // What is on its way by WebSocket when its connection is cut off comes too late.
  await waitUntil("frames that come too late", async () => {
    const cut = await openLive(trial.listenPort);
    cut.write(Buffer.alloc(4 * 1_048_576));
    const before = cut.bytesRead;
    cut.resume();
    await waitUntil("the echo flows", () => cut.bytesRead > before);
    cut.resetAndDestroy();
    await look();
    return moved.get("relay")!.has("culvert_relay_tunnel_drops_total");
  });

  // UDP passes from now on, and the sessions move to QUIC.
  nat.blocked = false;
  for (const role of ["server", "client"] as const) {
    await waitUntil(`the ${role} moves`, () => trial.daemon(role).named("link.moved")[0], {
      withinMs: 15_000,
    });
  }
  await look();

  // Connections that open, carry, end well, are refused, and are cut off from either side.
  const live = await openLive(trial.listenPort);
  await look();
  live.destroy();
  await recovers(trial.listenPort);
  await echo.close();
  await closedWithin(trial.listenPort, 1_000);
  await echo.listen(trial.targetPort);

  // A visitor of a public name, one of a name that nobody serves, and one that says nothing.
  for (const [name, status] of [
    ["app.example.com", 200],
    ["nobody.example.org", 404],
  ] as const) {
    expect(await statusOf(httpPort, name)).toBe(status);
  }
  const silent = await connectTcp(httpPort);
  await waitUntil("a visitor is in the handshake", async () => {
    await look();
    return total(latest.get("relay")!, "culvert_relay_public_handshakes") > 0;
  });
  silent.destroy();

  // Tips that cannot be used; a second session of the client's key takes over; a stranger is turned away.
  const raw = await dialRelay(trial, trial.path("client.key"));
  await attachAs(raw, "client");
  await speak(raw, Buffer.from([9]));
  raw.close({ by: "us", code: "done", text: "done" });
  const stranger = trial.path("stranger.key");
  await culvert(["key", "generate", stranger]);
  await attachAs(await dialRelay(trial, stranger), "client");

  // Datagrams that mean nothing, and handshakes that are begun and left: one is half open, the next is asked for a Retry.
  const socket = createSocket("udp4");
  onTestFinished(() => {
    socket.close();
  });
  await send(socket, Buffer.alloc(1_300, 0x41), trial.relayPort);
  for (const initial of await firstDatagrams(trial, 3))
    await send(socket, initial, trial.relayPort);
  await waitUntil("a handshake is half open", async () => {
    await look();
    return total(latest.get("relay")!, "culvert_quic_half_open") > 0;
  });

  // The relay goes away and comes back: the links of the other two are lost and found.
  await trial.daemon("relay").kill();
  await waitUntil(
    "the links are lost",
    async () => {
      await look();
      return moved.get("client")!.has("culvert_link_lost_total");
    },
    { withinMs: 12_000 },
  );
  await trial.startOne("relay");
  await recovers(trial.listenPort);
  await look();

  for (const role of roles) {
    const { families, helps } = latest.get(role)!;
    const names = families.map(({ name }) => name);
    expect(names.length, role).toBe(new Set(names).size);
    expect([...helps].sort(), `${role}: each with a help text`).toEqual([...names].sort());
    const resting = families
      .filter(({ name }) => !mayRest.has(name))
      .filter(
        ({ name, type }) => !moved.get(role)!.has(type === "histogram" ? `${name}_sum` : name),
      )
      .map(({ name }) => name);
    expect(resting, `metrics of the ${role} that never moved`).toEqual([]);
  }
});

it("/healthz and /readyz tell a daemon that lives from one that serves", async () => {
  const trial = await useTrial();
  const port = await freePort();
  await trial.edit("client", (config) => {
    config["admin"] = { listen: `127.0.0.1:${port}` };
  });
  const answers = async (path: string): Promise<number> =>
    (await fetch(`http://127.0.0.1:${port}${path}`)).status;
  trial.launch("client");
  await waitUntil("the client lives", async () => (await answers("/healthz")) === 200);
  expect(await answers("/readyz")).toBe(503);
  await trial.start(["relay"]);
  await waitUntil("the client serves", async () => (await answers("/readyz")) === 200);
  expect((await fetch(`http://127.0.0.1:${trial.adminPort}/readyz`)).status).toBe(200);
  expect(await answers("/nothing")).toBe(404);
});

/** The status a public name answers with, in clear. */
function statusOf(port: number, name: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const request = get({ host: "127.0.0.1", port, headers: { host: name } }, (answer) => {
      answer.resume();
      resolve(answer.statusCode);
    });
    request.on("error", reject);
  });
}

/** The first datagrams of that many handshakes, which are never answered. */
async function firstDatagrams(trial: Trial, count: number): Promise<readonly Buffer[]> {
  const hole = createSocket("udp4");
  onTestFinished(() => {
    hole.close();
  });
  await new Promise<void>((resolve) => hole.bind(0, "127.0.0.1", resolve));
  const initials = new Map<string, Buffer>();
  hole.on("message", (datagram, { port }) => {
    if (!initials.has(String(port))) initials.set(String(port), datagram);
  });
  const dials = Array.from({ length: count }, () =>
    dialRelay(
      trial,
      trial.path("client.key"),
      { handshakeTimeout: millis(300) },
      hole.address().port,
    ),
  );
  await Promise.allSettled(dials);
  expect(initials.size).toBe(count);
  return [...initials.values()];
}

function send(socket: Socket, datagram: Buffer, port: number): Promise<void> {
  return new Promise((resolve) => {
    socket.send(datagram, port, "127.0.0.1", () => {
      resolve();
    });
  });
}
