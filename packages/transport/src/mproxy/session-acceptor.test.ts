import { once } from "node:events";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { connect as connectTls } from "node:tls";
import { createCertificate } from "@culvert/identity";
import { systemClock, type CloseReason } from "@culvert/runtime";
import { memoryCarrierPair, VirtualClock, waitUntil, within } from "@culvert/testkit";
import { afterEach, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import type { HostPort } from "../host-port.ts";
import type { SessionListener } from "../quic-listen.ts";
import { DiallerProof } from "./identity-proof-exchange.ts";
import { proveSession } from "./prove-session.ts";
import { SessionAcceptor, type SessionAcceptorOptions } from "./session-acceptor.ts";
import { UnprovedPeers } from "./unproved-peers.ts";
import {
  boxIdentity,
  dialOnce,
  listenLocally,
  nextSession,
  relayIdentity,
  testDeps,
  testSettings,
} from "./wss-pair.test-data.ts";
import { sessionPath, sessionSubprotocol } from "./wss-names.ts";
import { sessionTerms, tunnelSettings } from "./wss-settings.ts";

const opened: { close(): Promise<void> | void }[] = [];

afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await one.close();
});

async function listen(options: Parameters<typeof listenLocally>[0] = {}): Promise<SessionListener> {
  const listener = await listenLocally(options);
  opened.push(listener);
  return listener;
}

/** A WebSocket of any library, and how it ended. */
class RawSocket {
  readonly webSocket: WebSocket;
  status: number | undefined;
  ended: { readonly code: number; readonly text: string } | undefined;

  constructor(
    { host, port }: HostPort,
    options: { path?: string; protocols?: string[]; compress?: boolean } = {},
  ) {
    const { path = sessionPath, protocols = [sessionSubprotocol], compress = false } = options;
    this.webSocket = new WebSocket(`ws://${host}:${port}${path}`, protocols, {
      perMessageDeflate: compress,
    });
    this.webSocket.on("error", () => undefined);
    this.webSocket.on("unexpected-response", (request, { statusCode }) => {
      this.status = statusCode;
      request.destroy();
    });
    this.webSocket.on("close", (code, text) => (this.ended = { code, text: String(text) }));
    opened.push({ close: () => this.webSocket.terminate() });
  }

  async open(): Promise<this> {
    await within(once(this.webSocket, "open"), { what: "the WebSocket" });
    return this;
  }

  async end(): Promise<{ readonly code: number; readonly text: string }> {
    await waitUntil(() => this.ended !== undefined, { what: "the end" });
    return this.ended!;
  }
}

/** Without TLS, which would only be in the way. */
function listenInClear(options: Partial<SessionAcceptorOptions> = {}): Promise<SessionListener> {
  return listen({ certificate: "none", ...options });
}

describe("the WebSocket of a session", () => {
  test("is at its path and with its subprotocol alone, and never compressed", async () => {
    const { address } = await listenInClear();
    const other = new RawSocket(address, { path: "/other" });
    expect((await other.end()).code).toBe(1006);
    const nameless = new RawSocket(address, { protocols: [] });
    await waitUntil(() => nameless.status === 400, { what: "the refusal" });
    const compressing = await new RawSocket(address, { compress: true }).open();
    expect(compressing.webSocket.extensions).toBe("");
    expect(compressing.webSocket.protocol).toBe(sessionSubprotocol);
    const query = await new RawSocket(address, { path: `${sessionPath}?x=1` }).open();
    expect(query.webSocket.protocol).toBe(sessionSubprotocol);
  });

  test("several subprotocols may be offered", async () => {
    const { address } = await listenInClear();
    const { webSocket } = await new RawSocket(address, {
      protocols: ["later.2", sessionSubprotocol],
    }).open();
    expect(webSocket.protocol).toBe(sessionSubprotocol);
  });

  test("text is the peer's fault", async () => {
    const raw = await new RawSocket((await listenInClear()).address).open();
    raw.webSocket.send("hello");
    expect((await raw.end()).code).toBe(1003);
  });

  test("a message beyond the bound is not taken", async () => {
    const raw = await new RawSocket((await listenInClear()).address).open();
    raw.webSocket.send(new Uint8Array(256 * 1024 + 1));
    expect((await raw.end()).code).toBe(1009);
  });

  test("bytes that are no frame end it", async () => {
    const raw = await new RawSocket((await listenInClear()).address).open();
    raw.webSocket.send(Buffer.from("GET / HTTP/1.1\r\n\r\n"));
    expect((await raw.end()).code).toBe(1002);
  });

  test("an answer comes to a ping before any proof", async () => {
    const raw = await new RawSocket((await listenInClear()).address).open();
    const pong = once(raw.webSocket, "pong");
    raw.webSocket.ping("there?");
    expect(String((await within(pong, { what: "a pong" }))[0])).toBe("there?");
  });

  test("a session goes on after strangers have failed", async () => {
    const listener = await listen();
    await expect(
      dialOnce({
        relay: listener.address,
        settings: { ...testSettings },
        relayId: boxIdentity.peerId,
      }),
    ).rejects.toMatchObject({ code: "wrong_peer" });
    const [near, far] = await Promise.all([
      dialOnce({ relay: listener.address }),
      nextSession(listener),
    ]);
    expect(far.peer).toBe(boxIdentity.peerId);
    near.close({ by: "us", code: "done", text: "" });
    await far.closed;
  });
});

describe("strangers", () => {
  test("of one address are few, and make room when they end", async () => {
    const { cert, key } = await ownCertificate();
    const listener = await listen({
      certificate: { cert, key },
      unproved: { inAll: 10, perAddress: 2 },
    });
    const url = `wss://127.0.0.1:${listener.address.port}${sessionPath}`;
    const connect = (): WebSocket => {
      const webSocket = new WebSocket(url, [sessionSubprotocol], { rejectUnauthorized: false });
      webSocket.on("error", () => undefined);
      opened.push({ close: () => webSocket.terminate() });
      return webSocket;
    };
    const inside = [connect(), connect()];
    for (const one of inside) await within(once(one, "open"), { what: "a stranger's socket" });
    const third = connect();
    const [, response] = (await within(once(third, "unexpected-response"), {
      what: "the refusal",
    })) as [unknown, { statusCode: number }];
    expect(response.statusCode).toBe(503);
    expect(listener.stats()).toMatchObject({ halfOpen: 2, drops: { half_open_limit: 1 } });
    inside[0]!.terminate();
    await waitUntil(() => listener.stats().halfOpen === 1, { what: "room" });
    const [near, far] = await Promise.all([
      dialOnce({ relay: listener.address }),
      nextSession(listener),
    ]);
    // Who is proved counts no more.
    expect(listener.stats()).toMatchObject({ halfOpen: 1, handshakesCompleted: 1 });
    near.close({ by: "us", code: "done", text: "" });
    await far.closed;
  });

  test("are given up at the deadline", async () => {
    const clock = new VirtualClock();
    const refused: string[] = [];
    const acceptor = new SessionAcceptor(
      { ...testDeps, clock, refused: (_remote, { message }) => refused.push(message) },
      { identity: relayIdentity, settings: testSettings },
    );
    opened.push(acceptor);
    const [near, far] = memoryCarrierPair();
    let ended: CloseReason | undefined;
    near.start({
      data: () => undefined,
      drain: () => undefined,
      alive: () => undefined,
      closed: (reason) => (ended = reason),
    });
    expect(acceptor.accept(far, "challenge", undefined)).toBe(true);
    await clock.advance(testSettings.handshakeTimeout - 1);
    expect(acceptor.stats()).toMatchObject({ halfOpen: 1, handshakesFailed: 0 });
    await clock.advance(1);
    expect(acceptor.stats()).toMatchObject({ halfOpen: 0, handshakesFailed: 1 });
    await waitUntil(() => ended !== undefined, { what: "the end" });
    expect(refused).toEqual([expect.stringContaining("no result within 5s")]);
  });

  test("a carrier without TLS of its own is not taken where that is asked for", async () => {
    const refused: Error[] = [];
    const acceptor = new SessionAcceptor(
      { ...testDeps, refused: (_remote, error) => refused.push(error) },
      { identity: relayIdentity, settings: testSettings },
    );
    opened.push(acceptor);
    const [near, far] = memoryCarrierPair();
    acceptor.accept(far, "exporter", "192.0.2.1");
    const dialling = proveSession({
      clock: systemClock,
      carrier: near,
      role: "dialler",
      exchange: new DiallerProof({
        identity: boxIdentity,
        relayId: relayIdentity.peerId,
        bindings: [{ kind: "challenge" }],
        nonce: testDeps.random.bytes(32),
        terms: sessionTerms(testSettings),
      }),
      settings: tunnelSettings(testSettings),
      deadline: testSettings.handshakeTimeout,
    });
    await expect(dialling).rejects.toMatchObject({ code: "connection_closed" });
    expect(refused).toEqual([expect.objectContaining({ data: { reason: "no_exporter" } })]);
  });

  test("TLS 1.2 binds no session", async () => {
    const refused: Error[] = [];
    const acceptor = new SessionAcceptor(
      { ...testDeps, refused: (_remote, error) => refused.push(error) },
      { identity: relayIdentity, settings: testSettings },
    );
    opened.push(acceptor);
    const server = createHttpsServer(await ownCertificate());
    server.on("upgrade", (request, socket, head) =>
      acceptor.overTls.upgrade(request, socket, head),
    );
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    opened.push({ close: () => void server.close() });
    const { port } = server.address() as AddressInfo;
    const socket = connectTls({
      port,
      host: "127.0.0.1",
      rejectUnauthorized: false,
      maxVersion: "TLSv1.2",
    });
    await within(once(socket, "secureConnect"), { what: "TLS 1.2" });
    const webSocket = new WebSocket(`ws://127.0.0.1:${port}${sessionPath}`, [sessionSubprotocol], {
      createConnection: () => socket,
    });
    webSocket.on("error", () => undefined);
    await within(once(webSocket, "close"), { what: "the end" });
    expect(refused).toEqual([expect.objectContaining({ data: { reason: "no_exporter" } })]);
  });
});

test("closing ends sessions with its reason, handshakes, and what comes later", async () => {
  const listener = await listenLocally();
  const [near, far] = await Promise.all([
    dialOnce({ relay: listener.address }),
    nextSession(listener),
  ]);
  const stranger = connectTls({ ...listener.address, rejectUnauthorized: false });
  await within(once(stranger, "secureConnect"), { what: "a stranger" });
  const waiting = within(once(stranger, "close"), { what: "the end of a stranger" });
  await listener.close();
  expect(await near.closed).toMatchObject({ by: "peer-app", code: "shutdown" });
  expect(await far.closed).toMatchObject({ by: "us", code: "shutdown" });
  await waiting;
  await expect(dialOnce({ relay: listener.address })).rejects.toMatchObject({
    code: "dial_failed",
  });
  expect(await listener.sessions[Symbol.asyncIterator]().next()).toMatchObject({ done: true });
});

test("an address in use is named", async () => {
  const { address } = await listen();
  await expect(listenLocally({ address })).rejects.toMatchObject({
    name: "TransportError",
    code: "address_in_use",
    message: expect.stringContaining(String(address.port)) as string,
  });
});

describe("the count of strangers", () => {
  test("an IPv6 /64 is one address, an IPv4 address is itself however it is written", () => {
    const peers = new UnprovedPeers({ inAll: 100, perAddress: 1 });
    expect(peers.enter("2001:db8::1")).toBeDefined();
    expect(peers.enter("2001:db8::ffff:2")).toBeUndefined();
    expect(peers.enter("2001:db8:0:1::1")).toBeDefined();
    expect(peers.enter("192.0.2.1")).toBeDefined();
    expect(peers.enter("::ffff:192.0.2.1")).toBeUndefined();
    expect(peers.enter("192.0.2.2")).toBeDefined();
    expect(peers.enter("fe80::1%eth0")).toBeDefined();
    expect(peers.enter("fe80::2%eth1")).toBeUndefined();
  });

  test("all together are bounded, also those of a proxy, and leaving twice counts once", () => {
    const peers = new UnprovedPeers({ inAll: 2, perAddress: 1 });
    const leave = peers.enter(undefined)!;
    expect(peers.enter(undefined)).toBeDefined();
    expect(peers.enter("192.0.2.1")).toBeUndefined();
    leave();
    leave();
    expect(peers.count).toBe(1);
    expect(peers.enter("192.0.2.1")).toBeDefined();
    expect(peers.enter(undefined)).toBeUndefined();
  });
});

async function ownCertificate(): Promise<{ cert: string; key: string }> {
  const { certificatePem, privateKeyPem } = await createCertificate(relayIdentity, {
    wallNowMs: Date.now(),
  });
  return { cert: certificatePem, key: privateKeyPem };
}
