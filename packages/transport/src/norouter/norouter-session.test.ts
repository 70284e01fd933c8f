import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { generateIdentity } from "@culvert/identity";
import { millis } from "@culvert/runtime";
import {
  Link,
  memoryCarrierPair,
  readPayload,
  sessionCompliance,
  streamOutcome,
  within,
} from "@culvert/testkit";
import { afterEach, describe, expect, test } from "vitest";
import { StreamCarrier } from "../mproxy/stream-carrier.ts";
import {
  boxIdentity,
  memoryPair,
  pairOver,
  relayIdentity,
  testDeps,
  testSettings,
} from "./norouter-pair.test-data.ts";
import { NorouterSession } from "./norouter-session.ts";
import { acceptNorouter, dialNorouter } from "./open-norouter.ts";

// The receive window, what a sender keeps until it is acknowledged, and the buffers of two Node streams.
const heldBytes = testSettings.streamWindowBytes + 2 * 1024 * 1024 + 256 * 1024;

sessionCompliance({ name: "IP packets in memory", heldBytes, connect: () => memoryPair() });

/** A process through whose standard input and output one end of a pair goes. */
async function throughProcess() {
  const sockets: Socket[] = [];
  const server = createServer((socket) => void sockets.push(socket));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const pump = `const s = require("net").connect({ port: ${port}, allowHalfOpen: true });
    process.stdin.pipe(s).pipe(process.stdout);`;
  const child = spawn(process.execPath, ["-e", pump], { stdio: ["pipe", "pipe", "inherit"] });
  const [socket] = (await once(server, "connection")) as [Socket];
  const { clock } = testDeps;
  const near = { readable: socket, writable: socket };
  const far = { readable: child.stdout, writable: child.stdin };
  const pair = await pairOver(
    new StreamCarrier(near, { clock, kind: "stdio", remote: "standard input" }),
    new StreamCarrier(far, { clock, kind: "stdio", remote: `pid ${child.pid}` }),
    { ...testSettings, keepAlive: millis(100), idleTimeout: millis(700) },
  );
  return {
    ...pair,
    child,
    async release() {
      child.kill("SIGKILL");
      if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
      for (const one of sockets) one.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

sessionCompliance({
  name: "IP packets over the standard input and output of a process",
  // And what the process and its pipes hold.
  heldBytes: heldBytes + 512 * 1024,
  connect: throughProcess,
});

describe("a peer that goes away", () => {
  test.each([
    { what: "killed", signal: "SIGKILL", by: ["peer-app", "network"] },
    { what: "frozen", signal: "SIGSTOP", by: ["timeout"] },
  ] as const)("$what: both sessions end, and every stream with them", async ({ signal, by }) => {
    const pair = await throughProcess();
    try {
      const link = new Link(pair.client, pair.server);
      const { near, far } = await link.open("client");
      const outcomes = [near, far].map((stream) => streamOutcome(stream));
      pair.child.kill(signal);
      const reasons = await within(Promise.all([pair.client.closed, pair.server.closed]), {
        limitMs: 5_000,
        what: "the ends of both sessions",
      });
      for (const reason of reasons) expect(by).toContain(reason.by);
      for (const { ended, error } of await Promise.all(outcomes)) {
        expect(ended).toBe(false);
        expect(error).toBeInstanceOf(Error);
      }
      await expect(pair.server.openStream()).rejects.toMatchObject({ code: "connection_closed" });
    } finally {
      await pair.release();
    }
  });
});

describe("NorouterSession", () => {
  const open: { release(): void | Promise<void> }[] = [];
  afterEach(async () => {
    for (const one of open.splice(0)) await one.release();
  });

  test("streams beyond what the peer allows are refused by name, and it takes more when some have ended", async () => {
    const pair = await memoryPair({ ...testSettings, maxStreams: 3 });
    open.push(pair);
    const link = new Link(pair.client, pair.server);
    const held = [await link.open("client"), await link.open("client"), await link.open("client")];
    await expect(pair.client.openStream()).rejects.toMatchObject({
      name: "LimitError",
      code: "too_many_streams",
      data: { limit: 3 },
    });
    // The other direction has a bound of its own.
    await link.open("server");
    for (const stream of [held[0]!.near, held[0]!.far]) stream.resume().end();
    await within(once(held[0]!.near, "close"), { what: "the end of a stream" });
    await link.open("client");
  });

  test("drain waits until the last bytes have arrived", async () => {
    const pair = await memoryPair();
    open.push(pair);
    const link = new Link(pair.client, pair.server);
    const { near, far } = await link.open("client");
    const read = readPayload(far);
    near.end(Buffer.alloc(3_000_000, 7));
    await within(pair.client.drain(), { what: "the last bytes" });
    pair.client.close({ by: "us", code: "shutdown", text: "done" });
    expect((await within(read, { what: "FIN" })).bytes).toBe(3_000_000);
  });

  test("the round trip is measured", async () => {
    const pair = await memoryPair();
    open.push(pair);
    await pair.client.drain();
    await expect.poll(() => pair.client.stats().rttMs).toBeGreaterThan(0);
    expect(pair.client.stats().rttMs).toBeLessThan(1_000);
  });

  test("bulk on many streams is held back by the pipe, not dropped by it", async () => {
    const pair = await memoryPair();
    open.push(pair);
    const link = new Link(pair.client, pair.server);
    const payload = Buffer.alloc(1024 * 1024, 3);
    const streams = [];
    for (let count = 0; count < 40; count += 1) streams.push(await link.open("client"));
    await Promise.all(
      streams.map(async ({ near, far }) => {
        near.end(payload);
        expect((await readPayload(far)).bytes).toBe(payload.length);
      }),
    );
    if (!(pair.client instanceof NorouterSession)) throw new Error("another session");
    const { droppedPackets, sentBytes } = pair.client.pipeStats();
    expect(droppedPackets).toBe(0);
    // Nothing of it went twice.
    expect(sentBytes).toBeLessThan(41 * payload.length);
  });

  test("a goodbye is not held up by megabytes that nobody reads", async () => {
    const pair = await memoryPair();
    open.push(pair);
    const link = new Link(pair.client, pair.server);
    for (let count = 0; count < 20; count += 1) {
      const { near } = await link.open("client");
      near.on("error", () => undefined);
      near.write(Buffer.alloc(1024 * 1024));
    }
    pair.client.close({ by: "us", code: "superseded", text: "a newer session" });
    expect(await within(pair.server.closed, { what: "the goodbye" })).toEqual({
      by: "peer-app",
      code: "superseded",
      text: "a newer session",
    });
  });
});

describe("identity", () => {
  test("a relay that is not the one expected gets to know nobody", async () => {
    const [near, far] = memoryCarrierPair();
    const other = generateIdentity();
    const [dialled, accepted] = await Promise.allSettled([
      dialNorouter(testDeps, {
        carrier: near,
        identity: boxIdentity,
        relayId: other.peerId,
        settings: testSettings,
      }),
      acceptNorouter(testDeps, {
        carrier: far,
        identity: relayIdentity,
        expected: boxIdentity.peerId,
        settings: testSettings,
      }),
    ]);
    expect(dialled).toMatchObject({ reason: { code: "wrong_peer" } });
    expect(accepted).toMatchObject({ status: "rejected" });
  });

  test("who is not the peer of the link is told so, and never served", async () => {
    const [near, far] = memoryCarrierPair();
    const other = generateIdentity();
    const [dialled, accepted] = await Promise.allSettled([
      dialNorouter(testDeps, {
        carrier: near,
        identity: other,
        relayId: relayIdentity.peerId,
        settings: testSettings,
      }),
      acceptNorouter(testDeps, {
        carrier: far,
        identity: relayIdentity,
        expected: boxIdentity.peerId,
        settings: testSettings,
      }),
    ]);
    expect(accepted).toMatchObject({
      reason: { code: "wrong_peer", data: { expected: boxIdentity.peerId, met: other.peerId } },
    });
    expect(dialled).toMatchObject({ status: "rejected" });
    const refused = dialled as PromiseRejectedResult;
    expect(String(refused.reason)).toContain(`${other.peerId} is at its other end`);
  });

  test("a peer that never says anything is given up in time", async () => {
    const [near] = memoryCarrierPair();
    await expect(
      acceptNorouter(testDeps, {
        carrier: near,
        identity: relayIdentity,
        expected: boxIdentity.peerId,
        settings: { ...testSettings, handshakeTimeout: millis(300) },
      }),
    ).rejects.toMatchObject({ code: "timeout" });
  });
});
