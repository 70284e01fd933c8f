import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import type { Socket } from "node:net";
import { TransportError } from "@culvert/runtime";
import { silentLog } from "@culvert/telemetry";
import { Status } from "@culvert/wire";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { ConnectRefused } from "./connect-refused.ts";
import { Socks5Entrance, type Socks5EntranceOptions } from "./socks5-entrance.ts";
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
const entrances: Socks5Entrance[] = [];

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

async function started(options: Partial<Socks5EntranceOptions> = {}): Promise<Socks5Entrance> {
  const entrance = new Socks5Entrance(
    { connector, log: silentLog, clock },
    { host: "127.0.0.1", port: 0, ...options },
  );
  entrances.push(entrance);
  await entrance.start();
  return entrance;
}

const users = new Map([["ann", { reveal: () => "secret" }]]);
const bytes = (hex: string): Buffer => Buffer.from(hex.replaceAll(" ", ""), "hex");
const greeting = "05 01 00";
const toLanBox = "05 01 00 03 07 6c616e2d626f78 0016";
const succeeded = "0500000100000000" + "0000";

/** Says all of it at once and an end; gives everything that comes back. */
async function say(entrance: Socks5Entrance, hex: string): Promise<string> {
  const socket = await dial(entrance.address);
  socket.end(bytes(hex));
  return (await readAll(socket)).toString("hex");
}

test("a request in one packet with its first bytes and an end is served whole", async () => {
  const entrance = await started();
  expect(await say(entrance, `${greeting} ${toLanBox} 61626364`)).toBe(`0500${succeeded}61626364`);
  expect(connector.requests[0]).toMatchObject({
    server: "lan-box",
    target: "22",
    entrance: "socks5 127.0.0.1:0",
  });
  expect(entrance.describe()).toMatchObject({ kind: "socks5", accepted: 1, forwarded: 1 });
});

test("a request in single bytes is served", async () => {
  const entrance = await started();
  const socket = await dial(entrance.address);
  socket.setNoDelay(true);
  for (const byte of bytes(`${greeting} ${toLanBox} 6162`)) {
    await new Promise((resolve) => socket.write(Uint8Array.of(byte), resolve));
  }
  socket.end();
  expect((await readAll(socket)).toString("hex")).toBe(`0500${succeeded}6162`);
});

test("user and password are asked for and checked", async () => {
  const entrance = await started({ users });
  const right = "01 03 616e6e 06 736563726574";
  expect(await say(entrance, `05 02 00 02 ${right} ${toLanBox} 61`)).toBe(`05020100${succeeded}61`);
  // Nothing in the packet of a wrong password is heard.
  const wrong = "01 03 616e6e 06 736563726575";
  expect(await say(entrance, `05 02 00 02 ${wrong} ${toLanBox} 61`)).toBe("05020101");
  expect(await say(entrance, `${greeting} ${toLanBox}`)).toBe("05ff");
  expect(connector.requests).toHaveLength(1);
  expect(entrance.describe()).toMatchObject({
    refused: 2,
    lastRefusal: { text: "the client offers no user and password" },
  });
});

test.each([
  ["BIND", "05 02 00 03 07 6c616e2d626f78 0016", "07"],
  ["UDP ASSOCIATE", "05 03 00 01 00000000 0000", "07"],
  ["an IPv4 address", "05 01 00 01 c0a80109 0016", "04"],
  ["an IPv6 address", "05 01 00 04 00000000000000000000000000000001 0016", "04"],
  ["an address as a name", "05 01 00 03 09 3132372e302e302e31 0016", "04"],
  ["a name that is none", "05 01 00 03 01 5f 0016", "01"],
  ["port 0", "05 01 00 03 07 6c616e2d626f78 0000", "01"],
  ["an empty name", "05 01 00 03 00 0016", "01"],
  ["a name with control characters", "05 01 00 03 03 610a62 0016", "01"],
])("%s is refused in its own word", async (_what, request, reply) => {
  const entrance = await started();
  expect(await say(entrance, `${greeting} ${request}`)).toBe(`050005${reply}0001000000000000`);
  expect(connector.requests).toHaveLength(0);
  expect(entrance.describe().refused).toBe(1);
});

test.each([
  ["SOCKS 4", "04 01 0016 7f000001 00"],
  ["HTTP", Buffer.from("GET / HTTP/1.1\r\n\r\n").toString("hex")],
  ["half a greeting", "05 05 00"],
  ["an unknown address type", "05 01 00 05 01 00 09"],
  ["nothing", ""],
])("%s is closed without an answer", async (_what, said) => {
  const entrance = await started();
  expect(await say(entrance, said)).toBe("");
  expect(entrance.describe()).toMatchObject({ refused: 1, forwarded: 0 });
});

test.each<[Error, string]>([
  [new ConnectRefused(Status.permission_denied_by_relay, "no", "relay"), "02"],
  [new ConnectRefused(Status.permission_denied_by_server, "no", "server"), "02"],
  [new ConnectRefused(Status.unknown_server, "no", "relay"), "04"],
  [new ConnectRefused(Status.server_offline, "no", "relay"), "04"],
  [new ConnectRefused(Status.target_unreachable, "no", "server"), "04"],
  [new ConnectRefused(Status.target_timeout, "no", "server"), "04"],
  [new ConnectRefused(Status.target_refused, "no", "server"), "05"],
  [new ConnectRefused(Status.resource_limit, "no", "relay"), "01"],
  [new ConnectRefused(999, "no", "relay"), "01"],
  [new TransportError("no_session", "no"), "03"],
  [new TransportError("timeout", "no"), "04"],
  [new Error("no"), "01"],
])("%s is reply %s", async (error, reply) => {
  const entrance = await started();
  connector.instead = () => Promise.reject(error);
  expect(await say(entrance, `${greeting} ${toLanBox} 6162`)).toBe(
    `050005${reply}0001000000000000`,
  );
});

test("a client that is slow with its request is reset at the deadline", async () => {
  const entrance = await started();
  const socket = await dial(entrance.address);
  socket.write(bytes(`${greeting} 05 01`));
  await once(socket, "data");
  expect(clock.pending).toEqual([10_000]);
  clock.expire();
  expect(await howItCloses(socket)).toBe("stream_reset");
  expect(entrance.describe().lastRefusal?.text).toBe("no whole request within 10s");
});

test("a client that takes a refusal and does not close is reset after a while", async () => {
  const entrance = await started();
  const socket = await dial(entrance.address);
  socket.write(bytes("05 01 02"));
  expect((await readAll(socket)).toString("hex")).toBe("05ff");
  expect(clock.pending).toEqual([1000]);
  clock.expire();
  await vi.waitFor(() => expect(entrance.describe().open).toBe(0));
  socket.destroy();
});

test("a client that goes away in the handshake leaves nothing behind", async () => {
  const entrance = await started();
  const socket = await dial(entrance.address);
  socket.write(bytes("05"));
  await vi.waitFor(() => expect(entrance.describe().open).toBe(1));
  socket.resetAndDestroy();
  await vi.waitFor(() => expect(entrance.describe().open).toBe(0));
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
  socket.write(bytes(`${greeting} ${toLanBox}`));
  expect(String((await readAll(socket)).subarray(12))).toBe("greeting");
  socket.end("still heard");
  expect(await heard).toBe("still heard");
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

  test("reaches a server by its name", async () => {
    const { address } = await started();
    const result = await curl("--socks5-hostname", address!, "http://lan-box.culvert:8080/");
    expect(result).toMatchObject({ exitCode: 0, output: "lan-box.culvert:8080 sent 0" });
    expect(connector.requests[0]).toMatchObject({ server: "lan-box", target: "8080" });
  });

  test("reaches it with user and password, and uploads", async () => {
    const { address } = await started({ users });
    const body = "x".repeat(100_000);
    const proxy = `socks5h://ann:secret@${address}`;
    const result = await curl("--proxy", proxy, "--data", body, "http://lan-box:80/");
    expect(result).toMatchObject({ exitCode: 0, output: "lan-box sent 100000" });
    const wrong = await curl("--proxy", `socks5h://ann:wrong@${address}`, "http://lan-box:80/");
    expect(wrong.exitCode).not.toBe(0);
  });

  test("is told of an address, which only servers have", async () => {
    const { address } = await started();
    // 97: the proxy's handshake failed.
    expect((await curl("--socks5", address!, "http://127.0.0.1:80/")).exitCode).toBe(97);
  });
});
