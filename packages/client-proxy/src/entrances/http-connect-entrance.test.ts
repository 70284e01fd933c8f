import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import type { Socket } from "node:net";
import { TransportError } from "@culvert/runtime";
import { silentLog } from "@culvert/telemetry";
import { Status } from "@culvert/wire";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { ConnectRefused } from "./connect-refused.ts";
import { HttpConnectEntrance, type HttpConnectEntranceOptions } from "./http-connect-entrance.ts";
import { curl, hasCurl } from "./testing/curl.ts";
import {
  dial,
  echo,
  howItCloses,
  LoopbackConnector,
  readAll,
  startEndServer,
  type EndServer,
} from "./testing/loopback-connector.ts";
import { VirtualTimers } from "./testing/virtual-timers.ts";

let serve: (socket: Socket) => void;
let endServer: EndServer;
let connector: LoopbackConnector;
let clock: VirtualTimers;
const entrances: HttpConnectEntrance[] = [];

beforeEach(async () => {
  serve = echo;
  endServer = await startEndServer((socket) => serve(socket));
  connector = new LoopbackConnector(() => endServer.port);
  clock = new VirtualTimers();
});

afterEach(async () => {
  for (const entrance of entrances.splice(0)) await entrance.close();
  await endServer.close();
  expect(clock.pending).toEqual([]);
});

async function started(
  options: Partial<HttpConnectEntranceOptions> = {},
): Promise<HttpConnectEntrance> {
  const entrance = new HttpConnectEntrance(
    { connector, log: silentLog, clock },
    { host: "127.0.0.1", port: 0, ...options },
  );
  entrances.push(entrance);
  await entrance.start();
  return entrance;
}

const users = new Map([["ann", { reveal: () => "se:cret" }]]);
const established = "HTTP/1.1 200 Connection established\r\n\r\n";

/** Says all of it at once and an end; gives everything that comes back. */
async function say(entrance: HttpConnectEntrance, text: string): Promise<string> {
  const socket = await dial(entrance.address);
  socket.end(text);
  return String(await readAll(socket));
}

function connectTo(authority: string, headers = "", after = ""): string {
  return `CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n${headers}\r\n${after}`;
}

test("a request in one packet with its first bytes and an end is served whole", async () => {
  const entrance = await started();
  expect(await say(entrance, connectTo("lan-box:22", "", "first bytes"))).toBe(
    `${established}first bytes`,
  );
  expect(connector.requests[0]).toMatchObject({
    server: "lan-box",
    target: "22",
    entrance: "http 127.0.0.1:0",
  });
  expect(entrance.describe()).toMatchObject({ kind: "http-connect", accepted: 1, forwarded: 1 });
});

test("a request in single bytes is served, and much follows it", async () => {
  const entrance = await started();
  const socket = await dial(entrance.address);
  for (const byte of Buffer.from(connectTo("Lan-Box.culvert:22"))) {
    await new Promise((resolve) => socket.write(Uint8Array.of(byte), resolve));
  }
  const body = Buffer.alloc(3_000_000, "0123456789");
  socket.end(body);
  const all = await readAll(socket);
  expect(all.subarray(established.length).equals(body)).toBe(true);
});

test("the end of either side leaves the other direction open", async () => {
  const heard = new Promise<string>((resolve) => {
    serve = (socket) => {
      socket.end("greeting");
      void readAll(socket).then((all) => resolve(String(all)));
    };
  });
  const entrance = await started();
  const socket = await dial(entrance.address);
  socket.write(connectTo("lan-box:22"));
  expect(String(await readAll(socket))).toBe(`${established}greeting`);
  socket.end("still heard");
  expect(await heard).toBe("still heard");
});

test("a client that resets while it waits aborts the attempt", async () => {
  const entrance = await started();
  const aborted = new Promise((resolve) => {
    connector.instead = ({ signal }) =>
      new Promise((_, reject) =>
        signal.addEventListener("abort", () => {
          resolve(signal.reason);
          reject(signal.reason as Error);
        }),
      );
  });
  const socket = await dial(entrance.address);
  socket.write(connectTo("lan-box:22", "", "first bytes"));
  await vi.waitFor(() => expect(connector.requests).toHaveLength(1));
  socket.resetAndDestroy();
  expect(await aborted).toMatchObject({ code: "aborted" });
});

test.each<[Error, number]>([
  [new ConnectRefused(Status.unknown_server, "no", "relay"), 404],
  [new ConnectRefused(Status.server_offline, "no", "relay"), 503],
  [new ConnectRefused(Status.permission_denied_by_relay, "no", "relay"), 403],
  [new ConnectRefused(Status.permission_denied_by_server, "no", "server"), 403],
  [new ConnectRefused(Status.target_refused, "no", "server"), 502],
  [new ConnectRefused(Status.target_unreachable, "no", "server"), 502],
  [new ConnectRefused(Status.target_timeout, "no", "server"), 504],
  [new ConnectRefused(Status.resource_limit, "no", "relay"), 503],
  [new ConnectRefused(999, "no", "relay"), 502],
  [new TransportError("no_session", "no"), 503],
  [new TransportError("timeout", "no"), 504],
  [new Error("no"), 502],
])("%s is status %s, with its reason in one line", async (error, status) => {
  const entrance = await started();
  connector.instead = () => Promise.reject(error);
  const answer = await say(entrance, connectTo("lan-box:22"));
  expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
  expect(answer).toContain("Connection: close\r\n\r\nno\n");
});

test("a reason of several lines cannot pass for headers", async () => {
  const entrance = await started();
  connector.instead = () =>
    Promise.reject(new ConnectRefused(Status.server_offline, "a\r\nX: y\r\n\r\nb", "relay"));
  expect(await say(entrance, connectTo("lan-box:22"))).toMatch(/\r\n\r\na X: y b\n$/);
});

test.each([
  ["an address", "192.168.1.9:22", 404],
  ["an IPv6 address", "[::1]:22", 404],
  ["no port", "lan-box", 400],
  ["port 0", "lan-box:0", 400],
  ["a port too high", "lan-box:65536", 400],
  ["a path", "/", 400],
  ["a name that is none", "_:22", 400],
])("CONNECT to %s is refused", async (_what, authority, status) => {
  const entrance = await started();
  expect(await say(entrance, connectTo(authority))).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
  expect(connector.requests).toHaveLength(0);
  expect(entrance.describe().refused).toBe(1);
});

test.each([
  ["GET", "GET http://lan-box/ HTTP/1.1\r\nHost: lan-box\r\n\r\n"],
  ["POST with a body", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"],
  ["two requests", "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"],
  ["an upgrade", "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"],
])("%s is 405, with the method that is allowed", async (_what, request) => {
  const entrance = await started();
  const socket = await dial(entrance.address);
  socket.write(request);
  const answer = String(await readAll(socket));
  expect(answer).toMatch(/^HTTP\/1\.1 405 /);
  expect(answer).toContain("allow: CONNECT\r\n");
  expect(answer.match(/HTTP\/1\.1/g)).toHaveLength(1);
  socket.destroy();
});

test.each([
  ["garbage", "\x16\x03\x01 no http\r\n\r\n", 400],
  ["a header of 9,000 bytes", connectTo("lan-box:22", `X: ${"a".repeat(9000)}\r\n`), 431],
  ["a bare line feed in a header", "CONNECT lan-box:22 HTTP/1.1\r\nA\n\r\n\r\n", 400],
])("%s is answered and closed", async (_what, said, status) => {
  const entrance = await started();
  const socket = await dial(entrance.address);
  socket.write(said);
  expect(String(await readAll(socket))).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
  socket.destroy();
  await vi.waitFor(() => expect(entrance.describe()).toMatchObject({ open: 0, refused: 1 }));
});

test("user and password are asked for and checked", async () => {
  const entrance = await started({ users });
  const basic = (text: string): string =>
    `Proxy-Authorization: Basic ${Buffer.from(text).toString("base64")}\r\n`;
  const open = await say(entrance, connectTo("lan-box:22", basic("ann:se:cret"), "x"));
  expect(open).toBe(`${established}x`);
  for (const header of [
    "",
    basic("ann:wrong"),
    basic("ann"),
    "Proxy-Authorization: Bearer x\r\n",
  ]) {
    const answer = await say(entrance, connectTo("lan-box:22", header, "x"));
    expect(answer).toMatch(/^HTTP\/1\.1 407 /);
    expect(answer).toContain('Proxy-Authenticate: Basic realm="culvert"');
  }
  expect(connector.requests).toHaveLength(1);
});

test("a client that is slow with its request is reset at the deadline", async () => {
  const entrance = await started();
  const socket = await dial(entrance.address);
  socket.write("CONNECT lan-box:22 HTTP/1.1\r\n");
  await vi.waitFor(() => expect(clock.pending).toEqual([10_000]));
  clock.expire();
  expect(await howItCloses(socket)).toBe("stream_reset");
  expect(entrance.describe().lastRefusal?.text).toBe("no whole request within 10s");
});

test("clients that end or reset in the middle of a request leave nothing behind", async () => {
  const entrance = await started();
  for (const leave of ["end", "resetAndDestroy"] as const) {
    const socket = await dial(entrance.address);
    socket.write("CONNECT lan-box:22 HT");
    await vi.waitFor(() => expect(entrance.describe().open).toBe(1));
    socket.resume();
    socket[leave]();
    await once(socket, "close");
    await vi.waitFor(() => expect(entrance.describe().open).toBe(0));
  }
});

describe.skipIf(!hasCurl)("the real curl", () => {
  beforeEach(() => {
    const http = createHttpServer((request, response) => {
      let length = 0;
      request.on("data", (chunk: Buffer) => (length += chunk.length));
      request.on("end", () => response.end(`${request.headers.host} sent ${length}`));
    });
    serve = (socket) => http.emit("connection", socket);
  });

  test("tunnels to a server by its name, and uploads", async () => {
    const { address } = await started();
    const body = "x".repeat(100_000);
    const tunnel = ["--proxytunnel", "--proxy", `http://${address}`];
    const result = await curl(...tunnel, "--data", body, "http://lan-box.culvert:8080/");
    expect(result).toEqual({
      exitCode: 0,
      output: "lan-box.culvert:8080 sent 100000",
      connectStatus: 200,
    });
    expect(connector.requests[0]).toMatchObject({ server: "lan-box", target: "8080" });
  });

  test("authenticates, at once and when asked", async () => {
    const { address } = await started({ users });
    const tunnel = ["--proxytunnel", "--proxy", `http://${address}`, "http://lan-box:80/"];
    expect(await curl("--proxy-user", "ann:se:cret", ...tunnel)).toMatchObject({ exitCode: 0 });
    expect(await curl("--proxy-anyauth", "--proxy-user", "ann:se:cret", ...tunnel)).toMatchObject({
      exitCode: 0,
      connectStatus: 200,
    });
    expect(await curl(...tunnel)).toMatchObject({ connectStatus: 407 });
  });

  test("sees the status of a refusal", async () => {
    const { address } = await started();
    connector.instead = () =>
      Promise.reject(new ConnectRefused(Status.permission_denied_by_relay, "no grant", "relay"));
    const tunnel = ["--proxytunnel", "--proxy", `http://${address}`];
    expect(await curl(...tunnel, "http://lan-box:80/")).toMatchObject({ connectStatus: 403 });
  });
});
