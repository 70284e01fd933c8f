import { setMaxListeners } from "node:events";
import type { Socket } from "node:net";
import { TransportError } from "@culvert/runtime";
import type { NameRoute, NameTable } from "./name-table.ts";
import type { PublicAddress, PublicConnection } from "./public-device.ts";

/** One connection from the internet, from its accept to its end. Watches the socket and never closes it by itself. */
export class PublicClient {
  /** The socket that was accepted; TLS, where it is ended here, lies on top of it. */
  readonly socket: Socket;
  readonly remote: PublicAddress;
  readonly local: PublicAddress;
  /** Fires when the socket has closed. */
  readonly signal: AbortSignal;
  /** `none` until TLS is seen. */
  tls: PublicConnection["tls"] = "none";
  /** The name in the ClientHello; undefined without one, and without TLS. */
  serverName: string | undefined;
  /** Whether it came to a listener on which only the relay's own WebSockets live. */
  ownOnly = false;
  /** HTTP requests so far. */
  requests = 0;
  /** HTTP requests that are being answered now. */
  openRequests = 0;
  readonly #routes = new Map<string, NameRoute>();

  constructor(socket: Socket, remote: PublicAddress, local: PublicAddress) {
    this.socket = socket;
    this.remote = remote;
    this.local = local;
    const gone = new AbortController();
    this.signal = gone.signal;
    // Each stream being opened listens, and there are dozens of one browser.
    setMaxListeners(0, gone.signal);
    socket.once("close", () => {
      gone.abort(new TransportError("connection_closed", "the client left"));
    });
  }

  /** Bytes on the wire so far: `up` from the client. */
  get bytes(): { readonly up: number; readonly down: number } {
    return { up: this.socket.bytesRead, down: this.socket.bytesWritten };
  }

  /** Whether the connection asks for more names than a client would: every one of them costs. */
  isSpread(name: string): boolean {
    return this.#routes.size >= mostRoutes && !this.#routes.has(name);
  }

  /** The device for a name: the same for the whole connection, as long as it is connected. */
  route(names: NameTable, name: string): NameRoute | undefined {
    const before = this.#routes.get(name);
    if (before?.device.connected === true) return before;
    const route = names.next(name);
    if (route === undefined) this.#routes.delete(name);
    else this.#routes.set(name, route);
    return route;
  }

  /** What a device is told of a connection for a name, or for a port. */
  connection(service: PublicConnection["service"], name: string): PublicConnection {
    const { remote, local, tls } = this;
    return { service, name, servicePort: local.port, tls, remote, local };
  }
}

/** Names one plain connection may go to. */
const mostRoutes = 16;
