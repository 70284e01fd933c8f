import { createServer as createHttpServer, type Server } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { lookup } from "node:dns/promises";
import { createCertificate } from "@culvert/identity";
import { errorText, systemCode, TransportError } from "@culvert/runtime";
import { resolveAddresses } from "../happy-eyeballs.ts";
import { formatHostPort, type HostPort } from "../host-port.ts";
import type { SessionListener } from "../quic-listen.ts";
import { carrierDefaults } from "./carrier-defaults.ts";
import {
  SessionAcceptor,
  type SessionAcceptorDeps,
  type SessionAcceptorOptions,
} from "./session-acceptor.ts";

/** Where and as whom to listen for sessions by WebSocket, and nothing else. */
export interface WssListenOptions extends SessionAcceptorOptions {
  readonly address: HostPort;
  /**
   * `identity`: TLS 1.3 with a certificate of the identity's own, for peers that check the proof alone. A chain and a key, PEM: TLS 1.3 with
   * these. `none`: no TLS, for a proxy that ends it.
   */
  readonly certificate: "identity" | "none" | { readonly cert: string; readonly key: string };
}

/**
 * Binds one address that takes sessions by WebSocket alone; a relay with a public entrance takes them there instead.
 * @throws TransportError `address_in_use`, `address_unavailable` or `name_not_found`.
 */
export async function listenWss(
  deps: SessionAcceptorDeps,
  options: WssListenOptions,
): Promise<SessionListener> {
  const [address = options.address] = await resolveAddresses(
    (host) => lookup(host, { all: true }),
    options.address,
  );
  const acceptor = new SessionAcceptor(deps, options);
  const server = await serverFor(deps, options);
  const upgrades = options.certificate === "none" ? acceptor.behindProxy : acceptor.overTls;
  server.on("upgrade", (request, socket, head) => {
    if (upgrades.accepts(request)) upgrades.upgrade(request, socket, head);
    else socket.destroy();
  });
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    socket.on("error", () => undefined);
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  server.on("clientError", (_error, socket) => socket.destroy());
  await bind(server, address);
  const bound = server.address() as AddressInfo;
  const at = { host: bound.address, port: bound.port };
  const scheme = options.certificate === "none" ? "ws" : "wss";
  return {
    description: `${scheme} ${formatHostPort(at)}`,
    address: at,
    transport: "mproxy/websocket",
    sessions: acceptor.sessions,
    stats: () => acceptor.stats(),
    async close() {
      acceptor.close();
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      // Sessions say goodbye first; and a TLS handshake may have been under way.
      const timer = deps.clock.setTimer(carrierDefaults.closeTimeout, () => {
        for (const socket of sockets) socket.destroy();
      });
      await closed;
      timer.cancel();
    },
  };
}

async function serverFor(
  { clock }: SessionAcceptorDeps,
  { certificate, identity, settings }: WssListenOptions,
): Promise<Server> {
  const bounds = {
    maxHeaderSize: maxHeadBytes,
    headersTimeout: settings.handshakeTimeout,
    requestTimeout: settings.handshakeTimeout,
    connectionsCheckingInterval: 1_000,
    noDelay: true,
  };
  const notFound: Parameters<typeof createHttpServer>[1] = (_request, response) => {
    response.writeHead(404, { connection: "close" });
    response.end();
  };
  if (certificate === "none") return createHttpServer(bounds, notFound);
  const { cert, key } =
    certificate === "identity" ? await ownCertificate(identity, clock.wallNowMs()) : certificate;
  const tls = { cert, key, minVersion: "TLSv1.3", handshakeTimeout: settings.handshakeTimeout };
  return createHttpsServer({ ...bounds, ...tls, minVersion: "TLSv1.3" }, notFound);
}

async function ownCertificate(
  identity: WssListenOptions["identity"],
  wallNowMs: number,
): Promise<{ cert: string; key: string }> {
  const { certificatePem, privateKeyPem } = await createCertificate(identity, { wallNowMs });
  return { cert: certificatePem, key: privateKeyPem };
}

function bind(server: Server, address: HostPort): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause) => {
      const code = systemCode(cause) === "EADDRINUSE" ? "address_in_use" : "address_unavailable";
      const message = `cannot listen on ${formatHostPort(address)}: ${errorText(cause)}`;
      reject(new TransportError(code, message, { cause }));
    });
    server.listen({ host: address.host, port: address.port }, () => {
      server.removeAllListeners("error");
      server.on("error", () => undefined);
      resolve();
    });
  });
}

/** An upgrade has a handful of headers. */
const maxHeadBytes = 8 * 1024;
