import { spawn } from "node:child_process";
import { once } from "node:events";
import type { AddressInfo, Socket } from "node:net";
import { createServer } from "node:net";
import { sessionCompliance, type SessionPair } from "@culvert/testkit";
import type { SessionListener } from "../quic-listen.ts";
import type { Session } from "../session.ts";
import { connectProxy } from "./connect-proxy.test-data.ts";
import { dialCarrier } from "./dial-carrier.ts";
import { SessionAcceptor } from "./session-acceptor.ts";
import { StreamCarrier } from "./stream-carrier.ts";
import { certificateFor, tlsEndingProxy } from "./tls-proxy.test-data.ts";
import {
  boxIdentity,
  dialOnce,
  listenLocally,
  nextSession,
  relayIdentity,
  testDeps,
  testSettings,
} from "./wss-pair.test-data.ts";

// The window, and the buffers of two Node streams.
const heldBytes = testSettings.streamWindowBytes + 128 * 1024;

async function paired(
  dialling: Promise<Session>,
  accepting: { readonly sessions: AsyncIterable<Session> },
  release: () => Promise<void>,
): Promise<SessionPair> {
  const [client, server] = await Promise.all([dialling, nextSession(accepting as SessionListener)]);
  return {
    client,
    server,
    clientId: boxIdentity.peerId,
    serverId: relayIdentity.peerId,
    release,
  };
}

sessionCompliance({
  name: "sessions by WebSocket over TLS",
  heldBytes,
  async connect() {
    const listener = await listenLocally();
    return paired(dialOnce({ relay: listener.address }), listener, () => listener.close());
  },
});

sessionCompliance({
  name: "sessions by WebSocket through an HTTP proxy",
  heldBytes,
  async connect() {
    const listener = await listenLocally();
    const proxy = await connectProxy({ "relay.example:443": listener.address });
    const relay = { host: "relay.example", port: 443 };
    const dialling = dialOnce({ relay, proxy: { address: proxy.address } });
    return paired(dialling, listener, async () => {
      await listener.close();
      await proxy.close();
    });
  },
});

const certificate = await certificateFor("127.0.0.1");
sessionCompliance({
  name: "sessions by WebSocket in clear behind a proxy that ends TLS",
  // And what the proxy holds.
  heldBytes: heldBytes + 256 * 1024,
  async connect() {
    const listener = await listenLocally({ certificate: "none" });
    const proxy = await tlsEndingProxy(listener.address, { ...certificate, onwards: "clear" });
    const how = { behindProxy: true, ca: certificate.cert };
    return paired(dialOnce({ relay: proxy.address, ...how }), listener, async () => {
      await listener.close();
      await proxy.close();
    });
  },
});

sessionCompliance({
  name: "sessions over the standard input and output of a child process",
  heldBytes,
  async connect() {
    const acceptor = new SessionAcceptor(testDeps, {
      identity: relayIdentity,
      settings: testSettings,
    });
    const { clock } = testDeps;
    const server = createServer((socket: Socket) => {
      const ends = { readable: socket, writable: socket };
      const carrier = new StreamCarrier(ends, { clock, kind: "stdio", remote: "child" });
      acceptor.accept(carrier, "challenge", undefined);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const pump = `const s = require("net").connect({ port: ${port}, allowHalfOpen: true });
      process.stdin.pipe(s).pipe(process.stdout);`;
    const child = spawn(process.execPath, ["-e", pump], { stdio: ["pipe", "pipe", "inherit"] });
    const ends = { readable: child.stdout, writable: child.stdin };
    const dialling = dialCarrier(testDeps, {
      carrier: new StreamCarrier(ends, { clock, kind: "stdio", remote: `pid ${child.pid}` }),
      relayId: relayIdentity.peerId,
      identity: boxIdentity,
      settings: testSettings,
      trustsBetween: true,
    });
    return paired(dialling, acceptor, async () => {
      acceptor.close();
      child.kill();
      if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
      await new Promise((resolve) => server.close(resolve));
    });
  },
});
