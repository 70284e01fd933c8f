import type { TLSSocket } from "node:tls";
import {
  millis,
  splice,
  tcpByteStream,
  type TransportError,
  type WireError,
  type Clock,
} from "@culvert/runtime";
import type { ClientHello } from "@culvert/wire";
import type { CertificateStore } from "./certificate-store.ts";
import { deviceFailure, type DeviceStreams } from "./device-streams.ts";
import { readFirstBytes, sniffSsh } from "./first-bytes.ts";
import type { ErrorStatus } from "./error-page.ts";
import { rawErrorPage, type HttpFront } from "./http-front.ts";
import { lingeringEnd } from "./lingering-end.ts";
import type { PublicRefusal } from "./metrics.ts";
import type { NameTable } from "./name-table.ts";
import type { PublicClient } from "./public-client.ts";
import type { PublicConnection, PublicDevice } from "./public-device.ts";
import type { Guest, PublicDoor } from "./public-door.ts";
import { portSite } from "./public-status.ts";
import { TlsAlert, tlsAlert } from "./tls-alert.ts";
import { TlsEnd } from "./tls-end.ts";
import { tlsFailure } from "./tls-failure.ts";
import type { WebLimits } from "./web-options.ts";

/** What a kind of listener takes: TLS, plain HTTP, or WebSockets of the relay's own behind a proxy that ends TLS. */
export type ListenerKind = "https" | "http" | "plain";

/** What the router works with. */
export interface PublicRouterDeps {
  readonly clock: Clock;
  readonly door: PublicDoor;
  readonly names: NameTable;
  readonly own: readonly string[];
  readonly streams: DeviceStreams;
  readonly front: HttpFront;
  readonly store: CertificateStore;
  readonly limits: WebLimits;
}

/** Finds out what a connection wants from its first bytes, and gives it to who serves that. */
export class PublicRouter {
  readonly #deps: PublicRouterDeps;
  readonly #tlsEnd: TlsEnd;
  readonly #settled = new WeakMap<PublicClient, () => void>();

  constructor(deps: PublicRouterDeps) {
    this.#deps = deps;
    const handlers = {
      secure: (client: PublicClient, socket: TLSSocket): void => this.#onSecure(client, socket),
      failed: (client: PublicClient, error: Error): void => {
        const { reason, text } = tlsFailure(error);
        deps.door.refuse(client, reason, text);
      },
    };
    this.#tlsEnd = new TlsEnd(deps.store, deps.own, handlers, deps.limits);
  }

  /** Serves a connection of a listener. Never rejects. */
  async serve({ client, settled }: Guest, kind: ListenerKind): Promise<void> {
    if (kind === "plain") {
      client.ownOnly = true;
      this.#http(client, settled);
      return;
    }
    const { clock, limits } = this.#deps;
    const options = { clock, deadline: limits.headDeadline, maxBytes: limits.headBytes };
    const first = await readFirstBytes(client.socket, options);
    if (first.kind === "failed") this.#refuseFirst(client, first.began, first.error);
    else if (first.kind === "tls" && kind === "https") this.#tls(client, settled, first.hello);
    else if (first.kind === "http" && kind === "http") this.#http(client, settled);
    else if (first.kind === "tls") {
      this.#refuseTls(client, TlsAlert.decodeError, "bad_hello", "TLS at a port for plain HTTP");
    } else this.#refusePage(client, 400, "bad_request", "plain HTTP at a port for TLS");
  }

  /** Serves a connection of a port that belongs to a device. Never rejects. */
  servePort({ client, settled }: Guest, device: PublicDevice): void {
    settled();
    this.#pass(client, device, client.connection("tcp", ""), portSite(client.local.port));
  }

  #http(client: PublicClient, settled: () => void): void {
    settled();
    this.#deps.front.http1(client.socket, client);
  }

  #tls(client: PublicClient, settled: () => void, { serverName }: ClientHello): void {
    const { names, store } = this.#deps;
    client.serverName = serverName;
    this.#settled.set(client, settled);
    if (serverName === undefined || names.isOwn(serverName)) {
      this.#tlsEnd.end(client);
      return;
    }
    const route = client.route(names, serverName);
    if (route?.policy.tls === "pass" && route.device.connected) {
      settled();
      client.tls = "passed";
      const connection = client.connection("https", serverName);
      this.#pass(client, route.device, connection, route.pattern);
    } else if (route?.policy.tls === "end" || store.find(serverName) !== undefined) {
      // What is wrong, if anything, is told on a page.
      this.#tlsEnd.end(client);
    } else if (route === undefined) {
      this.#refuseTls(client, TlsAlert.unrecognizedName, "unknown_name", "nobody serves this name");
    } else {
      const text = `${route.device.name} is not connected`;
      this.#refuseTls(client, TlsAlert.internalError, "device_away", text);
    }
  }

  #onSecure(client: PublicClient, socket: TLSSocket): void {
    this.#settled.get(client)?.();
    if (socket.alpnProtocol === "h2") this.#deps.front.http2(socket, client);
    else if (socket.alpnProtocol === false) void this.#afterTls(client, socket);
    else this.#deps.front.http1(socket, client);
  }

  /** Who has named no protocol may speak ssh, as through `openssl s_client`; its server knows where that goes. */
  async #afterTls(client: PublicClient, socket: TLSSocket): Promise<void> {
    const { clock, limits, names, front, door } = this.#deps;
    const { serverName } = client;
    const route = serverName === undefined ? undefined : client.route(names, serverName);
    if (serverName === undefined || route === undefined || names.isOwn(serverName)) {
      front.http1(socket, client);
      return;
    }
    const headBy = clock.now() + limits.headDeadline;
    const said = await sniffSsh(socket, { clock, deadline: limits.headDeadline });
    if (said === "other") {
      front.http1(socket, client, millis(Math.max(1, headBy - clock.now())));
    } else if (said !== "ssh") {
      const text = said === "left" ? "the client left" : "the client said nothing";
      door.refuse(client, said === "left" ? "left" : "slow_head", `${text} inside TLS`);
      socket.destroy();
    } else if (route.device.connected) {
      const connection = client.connection("http", serverName);
      this.#pass(client, route.device, connection, route.pattern, socket);
    } else {
      door.refuse(client, "device_away", `${route.device.name} is not connected`);
      socket.destroy();
    }
  }

  /** Joins the client's bytes, or what was decrypted of them, to a device's stream, unread. */
  #pass(
    client: PublicClient,
    device: PublicDevice,
    connection: PublicConnection,
    site: string,
    plain?: TLSSocket,
  ): void {
    const { door, streams } = this.#deps;
    streams.open(device, connection, client.signal).then(
      (stream) => {
        door.reached(client, connection.name, device, site);
        void splice(plain ?? tcpByteStream(client.socket), stream);
      },
      (error: unknown) => {
        if (client.signal.aborted) return;
        const { reason } = deviceFailure(error);
        if (plain !== undefined) {
          door.refuse(client, "device_failed", reason);
          plain.destroy();
        } else if (connection.service === "https") {
          this.#refuseTls(client, TlsAlert.internalError, "device_failed", reason);
        } else {
          door.refuse(client, "device_failed", reason);
          client.socket.resetAndDestroy();
        }
      },
    );
  }

  #refuseFirst(
    client: PublicClient,
    began: "tls" | "http" | undefined,
    { code, message }: TransportError | WireError,
  ): void {
    const tooLarge = code === "frame_too_large";
    if (code === "connection_closed" || (code === "timeout" && began !== "http")) {
      this.#deps.door.refuse(client, code === "timeout" ? "slow_head" : "left", message);
      client.socket.destroy();
    } else if (began === "tls") {
      const reason = tooLarge ? "head_too_large" : "bad_hello";
      this.#refuseTls(client, TlsAlert.decodeError, reason, message);
    } else if (code === "timeout") this.#refusePage(client, 408, "slow_head", message);
    else if (tooLarge) this.#refusePage(client, 431, "head_too_large", message);
    else this.#refusePage(client, 400, "bad_request", message);
  }

  #refuseTls(
    client: PublicClient,
    alert: (typeof TlsAlert)[keyof typeof TlsAlert],
    reason: PublicRefusal,
    text: string,
  ): void {
    this.#deps.door.refuse(client, reason, text);
    lingeringEnd(client.socket, tlsAlert(alert), this.#deps.clock);
  }

  #refusePage(
    client: PublicClient,
    status: ErrorStatus,
    reason: PublicRefusal,
    text: string,
  ): void {
    this.#deps.door.refuse(client, reason, text);
    lingeringEnd(client.socket, rawErrorPage(status), this.#deps.clock);
  }
}
