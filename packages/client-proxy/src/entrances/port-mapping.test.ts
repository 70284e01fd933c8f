import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import type { Socket } from "node:net";
import { systemClock } from "@culvert/runtime";
import { silentLog } from "@culvert/telemetry";
import { Status } from "@culvert/wire";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ConnectRefused } from "./connect-refused.ts";
import { PortMapping, type PortMappingOptions } from "./port-mapping.ts";
import {
  dial,
  dialOutcome,
  echo,
  howItCloses,
  LoopbackConnector,
  readAll,
  startEndServer,
  type EndServer,
} from "./testing/loopback-connector.ts";

let serve: (socket: Socket) => void;
let endServer: EndServer;
let connector: LoopbackConnector;
const mappings: PortMapping[] = [];

beforeEach(async () => {
  serve = echo;
  endServer = await startEndServer((socket) => serve(socket));
  connector = new LoopbackConnector(() => endServer.port);
});

afterEach(async () => {
  for (const mapping of mappings.splice(0)) await mapping.close();
  await endServer.close();
});

async function started(options: Partial<PortMappingOptions> = {}): Promise<PortMapping> {
  const mapping = new PortMapping(
    { connector, log: silentLog, clock: systemClock },
    { host: "127.0.0.1", port: 0, server: "lan-box", target: "ssh", ...options },
  );
  mappings.push(mapping);
  await mapping.start();
  return mapping;
}

test("bytes go both ways, and the connector is told how it ended", async () => {
  const mapping = await started();
  const client = await dial(mapping.address);
  const clientPort = client.localPort;
  const sent = randomBytes(5_000_000);
  client.end(sent);
  const received = await readAll(client);
  expect(hash(received)).toBe(hash(sent));
  expect(connector.requests[0]).toMatchObject({
    server: "lan-box",
    target: "ssh",
    clientPort,
    entrance: "tcp 127.0.0.1:0",
  });
  await vi.waitFor(() => expect(connector.results).toHaveLength(1));
  expect(connector.results[0]).toEqual({
    leftToRightBytes: sent.length,
    rightToLeftBytes: sent.length,
    failure: undefined,
  });
  expect(mapping.describe()).toMatchObject({
    kind: "port",
    addresses: [mapping.address],
    destination: "lan-box:ssh",
    open: 0,
    accepted: 1,
    forwarded: 1,
    refused: 0,
  });
});

test("a refused connection is reset at once and counted, and the next one works", async () => {
  const mapping = await started();
  connector.instead = () =>
    Promise.reject(new ConnectRefused(Status.server_offline, "lan-box is offline", "relay"));
  expect(await dialOutcome(mapping.address)).toBe("stream_reset");
  await vi.waitFor(() => expect(mapping.describe().open).toBe(0));
  expect(mapping.describe()).toMatchObject({
    refused: 1,
    lastRefusal: { text: "lan-box is offline" },
  });
  connector.instead = undefined;
  const client = await dial(mapping.address);
  client.end("x");
  expect(String(await readAll(client))).toBe("x");
});

test("a client that resets while it waits aborts the attempt", async () => {
  const mapping = await started();
  const aborted = new Promise((resolve) => {
    connector.instead = ({ signal }) =>
      new Promise((_, reject) =>
        signal.addEventListener("abort", () => {
          resolve(signal.reason);
          reject(signal.reason as Error);
        }),
      );
  });
  const client = await dial(mapping.address);
  client.write("some bytes first");
  await vi.waitFor(() => expect(connector.requests).toHaveLength(1));
  client.resetAndDestroy();
  expect(await aborted).toMatchObject({ code: "aborted" });
  await vi.waitFor(() => expect(mapping.describe()).toMatchObject({ open: 0, refused: 1 }));
});

test("a client that sends its end while it waits still gets its answer", async () => {
  for (const request of ["", "question"]) {
    const mapping = await started();
    const gate = closedGate();
    connector.instead = () => gate.opened;
    const client = await dial(mapping.address);
    client.end(request);
    await vi.waitFor(() => expect(connector.requests.at(-1)?.clientPort).toBe(client.localPort));
    // The end has been read by the time a later connection has been.
    const later = await dial(mapping.address);
    await vi.waitFor(() => expect(mapping.describe().open).toBe(2));
    serve = (socket) => {
      readAll(socket).then(
        (question) => socket.end(`answer to ${String(question)}`),
        () => socket.destroy(),
      );
    };
    gate.open();
    expect(String(await readAll(client))).toBe(`answer to ${request}`);
    later.destroy();
  }
});

test("what a waiting client sends is read ahead to a bound only", async () => {
  const mapping = await started();
  const gate = closedGate();
  connector.instead = () => gate.opened;
  const client = await dial(mapping.address);
  const sent = randomBytes(30_000_000);
  client.end(sent);
  await vi.waitFor(() => expect(connector.requests).toHaveLength(1));
  // The kernel's own buffers hold what is not waiting here.
  expect(await settled(() => client.writableLength)).toBeGreaterThan(0);
  gate.open();
  expect(hash(await readAll(client))).toBe(hash(sent));
});

test("an end server's end comes through while the client goes on sending", async () => {
  const received = new Promise<Buffer>((resolve) => {
    serve = (socket) => {
      socket.end("greeting");
      void readAll(socket).then(resolve);
    };
  });
  const mapping = await started();
  const client = await dial(mapping.address);
  expect(String(await readAll(client))).toBe("greeting");
  client.end("still heard");
  expect(String(await received)).toBe("still heard");
});

test("a reset of the end server reaches the client as a reset, even right after bytes", async () => {
  serve = (socket) => socket.write("cut", () => socket.resetAndDestroy());
  const mapping = await started();
  for (let round = 0; round < 20; round += 1) {
    expect(await dialOutcome(mapping.address)).toBe("stream_reset");
  }
});

test("a reset of the client reaches the end server as a reset", async () => {
  const outcome = new Promise((resolve) => {
    serve = (socket) => resolve(howItCloses(socket));
  });
  const mapping = await started();
  const client = await dial(mapping.address);
  await vi.waitFor(() => expect(endServer.sockets.size).toBe(1));
  client.resetAndDestroy();
  expect(await outcome).toBe("stream_reset");
});

test("more connections than the limit are reset and counted", async () => {
  const mapping = await started({ maxConnections: 1 });
  const first = await dial(mapping.address);
  await vi.waitFor(() => expect(mapping.describe().open).toBe(1));
  expect(await dialOutcome(mapping.address)).toBe("stream_reset");
  expect(mapping.describe()).toMatchObject({ open: 1, accepted: 2, refused: 1 });
  expect(mapping.describe().lastRefusal?.text).toContain("maxConnections");
  first.end("x");
  expect(String(await readAll(first))).toBe("x");
});

test("a thousand connections at once each get their own bytes, and nothing is left", async () => {
  const mapping = await started();
  const clients = await Promise.all(Array.from({ length: 1000 }, () => dial(mapping.address)));
  const answers = clients.map((client, index) => {
    client.end(`payload ${index}`);
    return readAll(client).then(String);
  });
  expect(await Promise.all(answers)).toEqual(clients.map((_, index) => `payload ${index}`));
  await mapping.drained();
  expect(mapping.describe()).toMatchObject({ open: 0, forwarded: 1000, refused: 0 });
  await vi.waitFor(() => expect(endServer.sockets.size).toBe(0));
});

test("a port in use is named together with the mapping, and start may be tried again", async () => {
  const holder = await started();
  const port = Number(/\d+$/.exec(holder.address!)![0]);
  await expect(started({ port })).rejects.toMatchObject({
    code: "address_in_use",
    message: `127.0.0.1:${port} (mapping to lan-box:ssh) is in use`,
  });
  await holder.close();
  const second = mappings.at(-1)!;
  await second.start();
  expect(second.address).toBe(`127.0.0.1:${port}`);
});

test("an address of another machine and an unknown name are told apart", async () => {
  await expect(started({ host: "192.0.2.1" })).rejects.toMatchObject({
    code: "address_unavailable",
  });
  await expect(started({ host: "no-such-host.invalid" })).rejects.toMatchObject({
    code: "name_not_found",
  });
});

test("localhost is bound on both loopback addresses with one port", async () => {
  const mapping = await started({ host: "localhost" });
  const { addresses } = mapping.describe();
  const port = /\d+$/.exec(mapping.address!)![0];
  expect([[`127.0.0.1:${port}`], [`127.0.0.1:${port}`, `[::1]:${port}`]]).toContainEqual(addresses);
  for (const address of addresses) {
    const client = await dial(address);
    client.end("x");
    expect(String(await readAll(client))).toBe("x");
  }
});

test("after stopAccepting nobody gets in, open connections go on, and drained waits for them", async () => {
  const mapping = await started();
  const address = mapping.address;
  const client = await dial(address);
  client.write("a");
  await once(client, "data");
  mapping.stopAccepting();
  expect(mapping.address).toBeUndefined();
  await expect(dial(address)).rejects.toMatchObject({ code: "ECONNREFUSED" });
  let drained = false;
  const draining = mapping.drained().then(() => (drained = true));
  client.write("b");
  expect(String((await once(client, "data"))[0])).toBe("b");
  expect(drained).toBe(false);
  client.end();
  await draining;
});

test("close resets what is open or waiting", async () => {
  const mapping = await started();
  const open = await dial(mapping.address);
  open.write("a");
  await once(open, "data");
  connector.instead = ({ signal }) =>
    new Promise((_, reject) =>
      signal.addEventListener("abort", () => reject(signal.reason as Error)),
    );
  const waiting = await dial(mapping.address);
  await vi.waitFor(() => expect(connector.requests).toHaveLength(2));
  const outcomes = Promise.all([howItCloses(open), howItCloses(waiting)]);
  await mapping.close();
  expect(await outcomes).toEqual(["stream_reset", "stream_reset"]);
  await vi.waitFor(() => expect(endServer.sockets.size).toBe(0));
});

function hash(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function closedGate(): { readonly opened: Promise<void>; open: () => void } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open: () => open() };
}

/** The value once it has not changed for ten looks. */
async function settled(read: () => number): Promise<number> {
  let last = -1;
  let same = 0;
  await vi.waitFor(
    () => {
      const value = read();
      same = value === last ? same + 1 : 0;
      last = value;
      expect(same).toBeGreaterThan(10);
    },
    { timeout: 10_000, interval: 10 },
  );
  return last;
}
