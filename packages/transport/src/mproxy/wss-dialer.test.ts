import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { generateIdentity } from "@culvert/identity";
import { millis } from "@culvert/runtime";
import { waitUntil } from "@culvert/testkit";
import { afterEach, describe, expect, test } from "vitest";
import type { SessionListener } from "../quic-listen.ts";
import type { Session } from "../session.ts";
import { connectProxy } from "./connect-proxy.test-data.ts";
import { certificateFor, tcpServer, tlsEndingProxy } from "./tls-proxy.test-data.ts";
import {
  boxIdentity,
  dialOnce,
  listenLocally,
  nextSession,
  relayIdentity,
  testDeps,
  testSettings,
} from "./wss-pair.test-data.ts";

const opened: { close(): Promise<void> | void }[] = [];

afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await one.close();
});

function owned<T extends { close(): Promise<void> }>(one: T): T {
  opened.push(one);
  return one;
}

const done = { by: "us", code: "done", text: "the test is over" } as const;

/** A session whose both ends know each other. */
async function expectSession(dialling: Promise<Session>, listener: SessionListener): Promise<void> {
  const [near, far] = await Promise.all([dialling, nextSession(listener)]);
  expect(near.peer).toBe(relayIdentity.peerId);
  expect(far.peer).toBe(boxIdentity.peerId);
  near.close(done);
  await far.closed;
}

async function listen(options: Parameters<typeof listenLocally>[0] = {}): Promise<SessionListener> {
  return owned(await listenLocally(options));
}

describe("straight to the relay", () => {
  test("another relay than the expected one is refused", async () => {
    const listener = await listen();
    const stranger = generateIdentity().peerId;
    await expect(dialOnce({ relay: listener.address, relayId: stranger })).rejects.toMatchObject({
      name: "TransportError",
      code: "wrong_peer",
    });
    await waitUntil(() => listener.stats().handshakesFailed === 1, { what: "the listener's word" });
    expect(listener.stats()).toMatchObject({ handshakesCompleted: 0, halfOpen: 0 });
  });

  test("names are resolved at each dial, sent as SNI, and all their addresses tried", async () => {
    const listener = await listen();
    const { port } = listener.address;
    const asked: string[] = [];
    const lookUp = (host: string): Promise<{ address: string; family: number }[]> => {
      asked.push(host);
      // Nobody listens on the first.
      return Promise.resolve([
        { address: "127.0.0.77", family: 4 },
        { address: "127.0.0.1", family: 4 },
      ]);
    };
    const relay = { host: "relay.example", port };
    for (let round = 0; round < 2; round += 1) {
      await expectSession(dialOnce({ relay }, { lookUp } as never), listener);
    }
    expect(asked).toEqual(["relay.example", "relay.example"]);
  });

  test("an address is no SNI, a name is", async () => {
    const plain = await listen({ certificate: "none" });
    const { cert, key } = await certificateFor("relay.example", "127.0.0.1");
    const proxy = owned(await tlsEndingProxy(plain.address, { cert, key, onwards: "clear" }));
    const how = { behindProxy: true, ca: cert };
    await expectSession(dialOnce({ relay: proxy.address, ...how }), plain);
    const lookUp = (): Promise<unknown> => Promise.resolve([{ address: "127.0.0.1", family: 4 }]);
    const relay = { ...proxy.address, host: "relay.example" };
    await expectSession(dialOnce({ relay, ...how }, { lookUp } as never), plain);
    expect(proxy.serverNames).toEqual(["", "relay.example"]);
  });

  test.each<[string, (socket: Socket) => void, string]>([
    ["hangs up", (socket) => socket.destroy(), "handshake_failed"],
    ["talks no TLS", (socket) => socket.write("SSH-2.0-x\r\n"), "handshake_failed"],
    ["says nothing", () => undefined, "timeout"],
  ])("a host that %s", async (_what, serve, code) => {
    const server = owned(await tcpServer(serve));
    const settings = { ...testSettings, handshakeTimeout: millis(300) };
    await expect(dialOnce({ relay: server.address, settings })).rejects.toMatchObject({ code });
  });

  test("nobody there", async () => {
    const server = await tcpServer(() => undefined);
    await server.close();
    await expect(dialOnce({ relay: server.address })).rejects.toMatchObject({
      name: "TransportError",
      code: "dial_failed",
    });
  });

  test("an aborted dial ends at once", async () => {
    const server = owned(await tcpServer(() => undefined));
    const aborting = new AbortController();
    const { wssDialer } = await import("./wss-dialer.ts");
    const dialling = wssDialer(testDeps, {
      relay: server.address,
      relayId: relayIdentity.peerId,
      identity: boxIdentity,
      settings: testSettings,
      behindProxy: false,
    })(aborting.signal);
    const outcome = expect(dialling).rejects.toMatchObject({ code: "aborted" });
    aborting.abort(new Error("enough"));
    await outcome;
  });

  test("a web server that knows no sessions", async () => {
    const { cert, key } = await certificateFor("127.0.0.1");
    const web = createServer((_request, response) => response.writeHead(404).end("no"));
    web.listen(0, "127.0.0.1");
    await once(web, "listening");
    opened.push({ close: () => void web.close() });
    const target = { host: "127.0.0.1", port: (web.address() as AddressInfo).port };
    const proxy = owned(await tlsEndingProxy(target, { cert, key, onwards: "clear" }));
    await expect(dialOnce({ relay: proxy.address })).rejects.toMatchObject({
      code: "handshake_failed",
      message: expect.stringContaining("404") as string,
    });
  });
});

describe("somebody in between who ends TLS", () => {
  test("is found out by the exporter, and learns nothing of the dialler", async () => {
    const listener = await listen();
    const { cert, key } = await certificateFor("127.0.0.1");
    const proxy = owned(await tlsEndingProxy(listener.address, { cert, key, onwards: "tls" }));
    await expect(dialOnce({ relay: proxy.address })).rejects.toMatchObject({
      code: "handshake_failed",
      data: { reason: "bad_proof" },
    });
    expect(proxy.seen()).toContain("culvert");
    expect(proxy.seen()).not.toContain(boxIdentity.peerId);
    expect(listener.stats().handshakesCompleted).toBe(0);
  });

  test("is not taken for a relay's proxy where none was configured", async () => {
    const listener = await listen({ certificate: "none" });
    const { cert, key } = await certificateFor("127.0.0.1");
    const proxy = owned(await tlsEndingProxy(listener.address, { cert, key, onwards: "clear" }));
    await expect(dialOnce({ relay: proxy.address, ca: cert })).rejects.toMatchObject({
      code: "connection_closed",
      message: expect.stringContaining("behindProxy") as string,
    });
    expect(proxy.seen()).not.toContain(boxIdentity.peerId);
  });

  test("is, where it was, and its certificate is good", async () => {
    const listener = await listen({ certificate: "none" });
    const { cert, key } = await certificateFor("127.0.0.1");
    const proxy = owned(await tlsEndingProxy(listener.address, { cert, key, onwards: "clear" }));
    const dialling = dialOnce({ relay: proxy.address, behindProxy: true, ca: cert });
    await expectSession(dialling, listener);
  });

  test.each([
    ["of a stranger", "127.0.0.1", undefined],
    ["for another name", "other.example", "own"],
  ])("is refused with a certificate %s, before a byte of ours", async (_what, host, authority) => {
    const listener = await listen({ certificate: "none" });
    const { cert, key } = await certificateFor(host);
    const proxy = owned(await tlsEndingProxy(listener.address, { cert, key, onwards: "clear" }));
    const ca = authority === undefined ? undefined : cert;
    await expect(dialOnce({ relay: proxy.address, behindProxy: true, ca })).rejects.toMatchObject({
      code: "handshake_failed",
    });
    expect(proxy.seen()).toBe("");
  });

  test("cannot make a relay that ends TLS itself accept a challenge", async () => {
    const listener = await listen();
    const { cert, key } = await certificateFor("127.0.0.1");
    const proxy = owned(await tlsEndingProxy(listener.address, { cert, key, onwards: "tls" }));
    await expect(
      dialOnce({ relay: proxy.address, behindProxy: true, ca: cert }),
    ).rejects.toMatchObject({ code: "handshake_failed", data: { reason: "bad_proof" } });
  });

  test("a dialler that expects a proxy is served by a relay without one too", async () => {
    const { cert, key } = await certificateFor("127.0.0.1");
    const listener = await listen({ certificate: { cert, key } });
    const dialling = dialOnce({ relay: listener.address, behindProxy: true, ca: cert });
    await expectSession(dialling, listener);
  });
});

describe("through an HTTP proxy", () => {
  test("by name, resolved there", async () => {
    const listener = await listen();
    const proxy = owned(await connectProxy({ "relay.example:443": listener.address }));
    const relay = { host: "relay.example", port: 443 };
    await expectSession(dialOnce({ relay, proxy: { address: proxy.address } }), listener);
    expect(proxy.asked).toEqual([{ target: "relay.example:443", authorization: undefined }]);
  });

  test("by IPv6 address, and with user and password", async () => {
    const listener = await listen();
    const proxy = owned(await connectProxy({ "[2001:db8::1]:443": listener.address }));
    const relay = { host: "2001:db8::1", port: 443 };
    const credentials = { reveal: () => "ann:se:cret" };
    await expectSession(
      dialOnce({ relay, proxy: { address: proxy.address, credentials } }),
      listener,
    );
    expect(proxy.asked[0]?.authorization).toBe(`Basic ${btoa("ann:se:cret")}`);
  });

  test.each<[string, string, RegExp]>([
    ["asks for a password", "407 Proxy Authentication Required", /user and a password/],
    ["does not want to", "403 Forbidden", /status 403/],
  ])("that %s", async (_what, status, text) => {
    const proxy = owned(
      await tcpServer((socket) => socket.end(`HTTP/1.1 ${status}\r\nContent-Length: 0\r\n\r\n`)),
    );
    const dialling = dialOnce({
      relay: { host: "relay.example", port: 443 },
      proxy: { address: proxy.address, credentials: { reveal: () => "ann:secret" } },
    });
    await expect(dialling).rejects.toMatchObject({ code: "refused" });
    await expect(dialling).rejects.toThrow(text);
    await expect(dialling).rejects.not.toThrow(/secret/);
  });

  test.each<[string, (socket: Socket) => void, string]>([
    ["is none", (socket) => socket.write("SSH-2.0-x\r\n"), "dial_failed"],
    ["hangs up", (socket) => socket.destroy(), "dial_failed"],
    ["says nothing", () => undefined, "timeout"],
    [
      "answers without end",
      (socket) => {
        socket.write("HTTP/1.1 200 OK\r\n");
        for (let lines = 0; lines < 20; lines += 1) socket.write(`X: ${"a".repeat(2000)}\r\n`);
      },
      "dial_failed",
    ],
  ])("that %s", async (_what, serve, code) => {
    const proxy = owned(await tcpServer(serve));
    await expect(
      dialOnce({
        relay: { host: "relay.example", port: 443 },
        settings: { ...testSettings, handshakeTimeout: millis(500) },
        proxy: { address: proxy.address },
      }),
    ).rejects.toMatchObject({ code });
  });

  test("the proxy cannot stand in for the relay", async () => {
    const listener = await listen();
    const { cert, key } = await certificateFor("relay.example");
    const ending = owned(await tlsEndingProxy(listener.address, { cert, key, onwards: "tls" }));
    const proxy = owned(await connectProxy({ "relay.example:443": ending.address }));
    const relay = { host: "relay.example", port: 443 };
    await expect(dialOnce({ relay, proxy: { address: proxy.address } })).rejects.toMatchObject({
      data: { reason: "bad_proof" },
    });
  });
});
