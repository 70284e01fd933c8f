import { isIPv4 } from "node:net";
import {
  LimitError,
  millis,
  TransportError,
  withDeadline,
  type ByteStream,
  type Clock,
  type Random,
} from "@culvert/runtime";
import { readAnswer, writeTip } from "@culvert/transport";
import { canonicalIpv6, Status, statusName, type PublicOffer } from "@culvert/wire";
import type { ConnectionTable } from "../connection-table.ts";
import type { AttachedPeer } from "../directory.ts";
import type { RelayLimits } from "../options.ts";
import type { PublicAddress, PublicConnection, PublicDevice } from "../web/public-device.ts";

/** What a {@link ServerDevice} works with. */
export interface ServerDeviceDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly connections: ConnectionTable;
  readonly limits: RelayLimits;
  /** Whether the relay takes no new connections any more. */
  readonly draining: () => boolean;
}

/** An attached server as the public entrance sees it: offers it each connection on a stream of its session (PROTOCOL.md §3.9). */
export class ServerDevice implements PublicDevice {
  readonly #deps: ServerDeviceDeps;
  readonly #server: AttachedPeer;
  #gone = false;

  constructor(deps: ServerDeviceDeps, server: AttachedPeer) {
    this.#deps = deps;
    this.#server = server;
    void server.session.closed.then(() => (this.#gone = true));
  }

  get name(): string {
    return this.#server.peer.name;
  }

  get connected(): boolean {
    return !this.#gone && !this.#deps.draining();
  }

  async open(
    connection: PublicConnection,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<ByteStream> {
    const { connections, limits } = this.#deps;
    if (!this.connected) throw new TransportError("no_session", `${this.name} is not attached`);
    const limit = limits.connectionsPerServer;
    if (connections.ofServer(this.name) >= limit) {
      const text = `limits.connectionsPerServer = ${limit} is reached`;
      throw new LimitError("too_many_connections", text, {
        data: { limit: "connectionsPerServer" },
      });
    }
    const uncount = connections.countServer(this.name);
    try {
      const stream = await this.#offer(connection, signal);
      if (stream.closed) uncount();
      else stream.once("close", uncount);
      return stream;
    } catch (error) {
      uncount();
      throw error;
    }
  }

  async #offer(connection: PublicConnection, signal: AbortSignal): Promise<ByteStream> {
    const { clock, limits, random } = this.#deps;
    const endsAt = clock.now() + limits.connectTimeout;
    const stream = await withDeadline(
      {
        clock,
        limit: limits.connectTimeout,
        what: `opening a stream to ${this.name}`,
        signal,
        discard: (late: ByteStream) => late.destroy(),
      },
      () => this.#server.session.openStream(),
    );
    stream.on("error", () => undefined);
    try {
      writeTip(stream, {
        kind: "offer",
        clientId: "",
        clientName: "",
        target: "",
        traceId: random.bytes(16),
        clientPort: 0,
        inner: new Uint8Array(0),
        public: publicOffer(connection),
      });
      const deadline = millis(Math.max(1, endsAt - clock.now()));
      const { status, text } = await readAnswer(stream, { clock, deadline, signal });
      if (status === Status.ok) return stream;
      throw new TransportError("refused", `${this.name}: ${text || statusName(status)}`, {
        data: { status },
      });
    } catch (error) {
      stream.destroy();
      throw error;
    }
  }
}

/** A connection as a tip tells it: addresses in their one form, without zones, which mean nothing elsewhere. */
export function publicOffer(connection: PublicConnection): PublicOffer {
  const { service, name, servicePort, tls, remote, local } = connection;
  const address = canonicalAddress(remote);
  return {
    service,
    name,
    servicePort,
    remote: { family: isIPv4(address) ? "IPv4" : "IPv6", address, port: remote.port },
    localAddress: canonicalAddress(local),
    tlsEnded: tls === "ended",
  };
}

function canonicalAddress({ address }: PublicAddress): string {
  const plain = address.replace(/%.*$/, "");
  return isIPv4(plain) ? plain : (canonicalIpv6(plain) ?? "");
}
