import type { Socket } from "node:net";
import { createServer, type Server, type TLSSocket } from "node:tls";
import { hostOf } from "@culvert/wire";
import type { CertificateStore } from "./certificate-store.ts";
import type { PublicClient } from "./public-client.ts";
import type { WebLimits } from "./web-options.ts";

/** Who is told how handshakes end. */
export interface TlsEndHandlers {
  /** Owns the socket from now on; it has an error listener. */
  secure(client: PublicClient, socket: TLSSocket): void;
  failed(client: PublicClient, error: Error): void;
}

/** Ends TLS 1.2 and 1.3 at the relay, on sockets whose ClientHello was read and put back. */
export class TlsEnd {
  readonly #server: Server;
  readonly #clients = new Map<string, PublicClient>();

  /** `own` are the relay's names: a client that names nobody is shown a certificate for one of them. */
  constructor(
    store: CertificateStore,
    own: readonly string[],
    handlers: TlsEndHandlers,
    limits: WebLimits,
  ) {
    this.#server = createServer({
      minVersion: "TLSv1.2",
      ALPNProtocols: ["h2", "http/1.1"],
      handshakeTimeout: limits.headDeadline,
      SNICallback(text, callback) {
        const host = hostOf(text);
        const found = host?.kind === "name" ? store.find(host.name) : undefined;
        callback(null, (found ?? store.fallback).context);
      },
    });
    // Without a name SNICallback is not asked.
    const setDefault = (): void => {
      const covered = own.map((name) => store.find(name)).find((found) => found !== undefined);
      const { certificatePem, privateKeyPem } = (covered ?? store.fallback).pem;
      this.#server.setSecureContext({
        cert: certificatePem,
        key: privateKeyPem,
        minVersion: "TLSv1.2",
      });
    };
    setDefault();
    store.onChange(setDefault);
    this.#server.on("secureConnection", (socket) => {
      socket.on("error", () => undefined);
      const client = this.#take(socket);
      if (client === undefined) socket.destroy();
      else handlers.secure(client, socket);
    });
    this.#server.on("tlsClientError", (error, socket) => {
      socket.on("error", () => undefined);
      const client = this.#take(socket);
      if (client !== undefined) handlers.failed(client, error);
      socket.destroy();
    });
  }

  /** Takes a client's paused socket. */
  end(client: PublicClient): void {
    client.tls = "ended";
    const key = keyOf(client.socket);
    if (key === undefined) {
      client.socket.destroy();
      return;
    }
    this.#clients.set(key, client);
    client.signal.addEventListener("abort", () => this.#clients.delete(key), { once: true });
    this.#server.emit("connection", client.socket);
  }

  /** Node does not tell which socket lies under TLS; the two ends of a connection are its name. */
  #take(socket: TLSSocket): PublicClient | undefined {
    const key = keyOf(socket);
    if (key === undefined) return undefined;
    const client = this.#clients.get(key);
    this.#clients.delete(key);
    return client;
  }
}

function keyOf(socket: Socket): string | undefined {
  const { remoteAddress, remotePort, localAddress, localPort } = socket;
  if (remoteAddress === undefined || remotePort === undefined) return undefined;
  return `${remoteAddress} ${remotePort} ${localAddress ?? ""} ${localPort ?? 0}`;
}
