import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { millis, type Clock, type CloseReason } from "@culvert/runtime";
import { rateLimited, type Log } from "@culvert/telemetry";
import {
  formatHostPort,
  MproxyTunnel,
  UpgradedWebSocket,
  WebSocketCarrier,
  type TunnelDropReason,
} from "@culvert/transport";
import { WebSocketServer } from "ws";
import { addressKey } from "../web/admission.ts";
import type { NameTable } from "../web/name-table.ts";
import type { PortTable } from "../web/port-table.ts";
import type { PageHandler, UpgradeHandler } from "../web/upgrade-handler.ts";
import { discoveryPages } from "./discovery-document.ts";
import type { GrantTables } from "./grant-desk.ts";
import type { DeviceRefusal, TelebitMetrics } from "./metrics.ts";
import { tokenOfRequest } from "./request-token.ts";
import { maxMessageBytes, telebitTunnelSettings, type TelebitOptions } from "./telebit-options.ts";
import { TelebitSession, type TelebitDeviceStatus } from "./telebit-session.ts";
import type { TokenVerifier } from "./token-verifier.ts";

/** What a {@link TelebitRelay} is made from. */
export interface TelebitRelayDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: TelebitMetrics;
  readonly verifier: TokenVerifier;
  readonly names: NameTable;
  readonly ports: PortTable;
}

/** The Telebit side of a relay: takes devices' WebSockets, and enters what their tokens grant into the tables of the public entrance. */
export class TelebitRelay {
  /** Takes the WebSockets of devices, which come for the path `/`. */
  readonly upgrades: UpgradeHandler;
  /** Answers the discovery documents. */
  readonly pages: PageHandler;
  readonly #deps: TelebitRelayDeps;
  readonly #options: TelebitOptions;
  readonly #log: Log;
  readonly #tables: GrantTables;
  readonly #webSockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: maxMessageBytes,
    WebSocket: UpgradedWebSocket,
  });
  /** Every device, and by what its address is counted. */
  readonly #sessions = new Map<TelebitSession, string>();
  readonly #drops: Record<TunnelDropReason, number> = {
    late_frame: 0,
    unknown_connection: 0,
    too_many_streams: 0,
    window_exceeded: 0,
    reader_gone: 0,
  };
  #draining = false;

  constructor(deps: TelebitRelayDeps, options: TelebitOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#log = rateLimited(deps.log, deps.clock, strangerRate);
    this.#tables = {
      names: deps.names,
      ports: deps.ports,
      portHost: options.portHost,
      policy: options.policy,
      reclaim: (port) => this.#reclaim(port),
    };
    this.pages = discoveryPages();
    this.upgrades = {
      accepts: ({ url = "" }) => /^\/(?:\?|$)/.test(url),
      upgrade: (request, socket, head) => this.#upgrade(request, socket, head),
    };
    deps.metrics.attach({
      devices: () => this.#count(),
      connections: () => this.#sum((session) => session.device.connections),
      drops: () => this.#allDrops(),
    });
  }

  /** The devices that hold a token, for status. */
  status(): readonly TelebitDeviceStatus[] {
    return [...this.#sessions.keys()]
      .filter((session) => session.authorised)
      .map((session) => session.status());
  }

  /** Lets no more devices in. Those that are there stay. */
  drain(): void {
    this.#draining = true;
  }

  /** Closes every device, and resolves when what they were granted is free. */
  async close(reason: CloseReason): Promise<void> {
    this.drain();
    const sessions = [...this.#sessions.keys()];
    for (const session of sessions) session.close(reason);
    await Promise.all(sessions.map(({ released }) => released));
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const address = request.socket.remoteAddress ?? "unknown";
    const refusal = this.#refusal(addressKey(address));
    if (refusal !== undefined) {
      this.#deps.metrics.refused.inc({ reason: refusal });
      this.#log.warn("relay.telebit.refused", { address, cause: refusal });
      // Whoever is refused holds nothing open.
      socket.once("finish", () => socket.destroy());
      socket.end(refusalAnswer);
      return;
    }
    this.#webSockets.handleUpgrade(request, socket, head, (webSocket) => {
      this.#begin(webSocket, request, address);
    });
  }

  #begin(webSocket: UpgradedWebSocket, request: IncomingMessage, address: string): void {
    const { clock, metrics, verifier } = this.#deps;
    const remote = formatHostPort({ host: address, port: request.socket.remotePort ?? 0 });
    const carrier = new WebSocketCarrier(webSocket, { clock, remote });
    const limits = this.#options.limits;
    const tunnel = new MproxyTunnel(
      { clock, carrier },
      {
        dialect: "telebit-relay",
        settings: { ...telebitTunnelSettings, maxStreams: limits.connectionsPerDevice },
      },
    );
    const session = new TelebitSession(
      {
        clock,
        log: this.#log.child({ device: remote }),
        metrics,
        verifier,
        tables: this.#tables,
        tunnel,
        ping: () => new Promise((resolve) => carrier.ping(resolve)),
      },
      this.#options,
    );
    this.#sessions.set(session, addressKey(address));
    void session.released.then(() => {
      this.#sessions.delete(session);
      addDrops(this.#drops, session.drops);
    });
    session.start(tokenOfRequest(request));
  }

  #refusal(from: string): DeviceRefusal | undefined {
    const { devices, strangers, strangersPerAddress } = this.#options.limits;
    if (this.#draining) return "draining";
    if (this.#sessions.size >= devices) return "devices";
    let waiting = 0;
    let waitingThere = 0;
    for (const [session, key] of this.#sessions) {
      if (session.authorised) continue;
      waiting += 1;
      if (key === from) waitingThere += 1;
    }
    if (waitingThere >= strangersPerAddress) return "strangersPerAddress";
    return waiting >= strangers ? "strangers" : undefined;
  }

  /** A port's device that is alive keeps it. */
  async #reclaim(port: number): Promise<boolean> {
    for (const claim of this.#deps.ports.list()) {
      if (claim.port !== port || claim.host !== this.#options.portHost) continue;
      const holder = [...this.#sessions.keys()].find(({ device }) => device === claim.device);
      if (holder === undefined || (await holder.probe())) return false;
      await holder.released;
      return true;
    }
    return true;
  }

  #count(): { readonly authorised: number; readonly waiting: number } {
    const authorised = this.#sum((session) => Number(session.authorised));
    return { authorised, waiting: this.#sessions.size - authorised };
  }

  #sum(of: (session: TelebitSession) => number): number {
    let sum = 0;
    for (const session of this.#sessions.keys()) sum += of(session);
    return sum;
  }

  #allDrops(): Readonly<Record<TunnelDropReason, number>> {
    const drops = { ...this.#drops };
    for (const session of this.#sessions.keys()) addDrops(drops, session.drops);
    return drops;
  }
}

function addDrops(
  sum: Record<TunnelDropReason, number>,
  drops: Readonly<Record<TunnelDropReason, number>>,
): void {
  for (const reason of Object.keys(sum) as TunnelDropReason[]) sum[reason] += drops[reason];
}

/** Warnings of one event that strangers provoke. */
const strangerRate = { burst: 20, interval: millis(10_000) };
const refusalAnswer = [
  "HTTP/1.1 503 Service Unavailable",
  "connection: close",
  "content-length: 0",
  "retry-after: 10",
  "\r\n",
].join("\r\n");
