import { STATUS_CODES, type IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { Identity } from "@culvert/identity";
import type { QuicListenerStats } from "@culvert/quic";
import { BoundedQueue, TransportError, type Clock, type Random } from "@culvert/runtime";
import { WebSocketServer } from "ws";
import { formatHostPort } from "../host-port.ts";
import { shutdownReason } from "../quic-listen.ts";
import type { Session } from "../session.ts";
import { carrierDefaults } from "./carrier-defaults.ts";
import type { Carrier } from "./carrier.ts";
import { ListenerProof } from "./identity-proof-exchange.ts";
import { nonceBytes, type ChannelBinding, type ChannelBindingKind } from "./identity-proof.ts";
import { proveSession } from "./prove-session.ts";
import { UnprovedPeers, type UnprovedLimits } from "./unproved-peers.ts";
import { UpgradedWebSocket } from "./upgraded-web-socket.ts";
import { WebSocketCarrier } from "./web-socket-carrier.ts";
import { sessionPath, sessionSubprotocol } from "./wss-names.ts";
import { sessionTerms, tunnelSettings, type WssSettings } from "./wss-settings.ts";

/** What a {@link SessionAcceptor} needs from outside. */
export interface SessionAcceptorDeps {
  readonly clock: Clock;
  readonly random: Random;
  /** Told of each peer that was not let in or did not prove who it is, for logs; may be called often. */
  readonly refused?: ((remote: string, error: Error) => void) | undefined;
}

/** As whom sessions are taken, and how many. */
export interface SessionAcceptorOptions {
  readonly identity: Identity;
  readonly settings: WssSettings;
  /** Default: {@link unprovedLimitDefaults}. */
  readonly unproved?: UnprovedLimits | undefined;
}

/** Default bounds of peers in their handshake. */
export const unprovedLimitDefaults: UnprovedLimits = {
  // Each holds a TLS connection, and at worst one WebSocket message, for at most the handshake time-out.
  inAll: 256,
  // Several boxes behind one NAT that all come back at once.
  perAddress: 64,
};

/** Takes WebSockets for sessions from an HTTP server. */
export interface SessionUpgrades {
  /** Whether the request is for a session, by its path. */
  accepts(request: IncomingMessage): boolean;
  /** Answers the handshake and owns the socket from then on; `head` is what came behind the request. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
}

/**
 * Makes sessions of carriers that others accept: proves identities within the handshake time-out and within bounds, and hands on who
 * is proved. Owns the carriers and sessions.
 */
export class SessionAcceptor {
  /** For servers that end TLS 1.3 in this process: proofs are bound to it. */
  readonly overTls: SessionUpgrades = this.#upgrades("exporter");
  /** For plain servers that a TLS-terminating proxy alone can reach: proofs are bound to a challenge. */
  readonly behindProxy: SessionUpgrades = this.#upgrades("challenge");
  readonly #deps: SessionAcceptorDeps;
  readonly #options: SessionAcceptorOptions;
  readonly #webSockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: carrierDefaults.maxMessageBytes,
    WebSocket: UpgradedWebSocket,
    handleProtocols: () => sessionSubprotocol,
  });
  readonly #unproved: UnprovedPeers;
  readonly #proved = new BoundedQueue<Session>(maxWaiting);
  readonly #live = new Set<Session>();
  readonly #stop = new AbortController();
  readonly #counts = { started: 0, completed: 0, failed: 0, halfOpenLimit: 0, queueFull: 0 };

  constructor(deps: SessionAcceptorDeps, options: SessionAcceptorOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#unproved = new UnprovedPeers(options.unproved ?? unprovedLimitDefaults);
  }

  /** Authenticated sessions, in order; one consumer. Ends when the acceptor closes. */
  get sessions(): AsyncIterable<Session> {
    return this.#proved;
  }

  /**
   * Takes a fresh carrier, not started, whose peer must prove itself by `binding`. `address` is the peer's, for the bound on each; undefined
   * where it is a proxy's. Returns whether it was let in; a carrier that is not is closed.
   */
  accept(carrier: Carrier, binding: ChannelBindingKind, address: string | undefined): boolean {
    const leave = this.#enter(carrier.remote, address);
    if (leave === undefined) {
      carrier.close({ by: "us", code: "too_many_half_open", text: "too many handshakes" });
      return false;
    }
    void this.#prove(carrier, binding).finally(leave);
    return true;
  }

  /** Counters since the start. */
  stats(): QuicListenerStats {
    const { started, completed, failed, halfOpenLimit, queueFull } = this.#counts;
    return {
      handshakesStarted: started,
      handshakesCompleted: completed,
      handshakesFailed: failed,
      halfOpen: this.#unproved.count,
      retriesSent: 0,
      drops: {
        malformed: 0,
        unknown_connection: 0,
        bad_token: 0,
        half_open_limit: halfOpenLimit,
        rate_limit: 0,
        queue_full: queueFull,
      },
    };
  }

  /** Ends handshakes and sessions. */
  close(): void {
    this.#stop.abort(new TransportError("aborted", shutdownReason.text));
    this.#proved.end();
    for (const session of this.#live) session.close(shutdownReason);
  }

  #upgrades(binding: ChannelBindingKind): SessionUpgrades {
    return {
      accepts: ({ url }) => url !== undefined && pathOf(url) === sessionPath,
      upgrade: (request, socket, head) => this.#upgrade(request, socket, head, binding),
    };
  }

  #upgrade(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    binding: ChannelBindingKind,
  ): void {
    // For its whole life, whoever else listens.
    socket.on("error", () => undefined);
    const { remoteAddress, remotePort } = request.socket;
    const remote = formatHostPort({ host: remoteAddress ?? "unknown", port: remotePort ?? 0 });
    const offered = request.headers["sec-websocket-protocol"]?.split(",") ?? [];
    if (!offered.some((name) => name.trim() === sessionSubprotocol)) {
      refuse(socket, 400);
      return;
    }
    const address = binding === "exporter" ? remoteAddress : undefined;
    const leave = this.#enter(remote, address);
    if (leave === undefined) {
      refuse(socket, 503);
      return;
    }
    socket.once("close", leave);
    this.#webSockets.handleUpgrade(request, socket, head, (webSocket) => {
      const { clock } = this.#deps;
      const carrier = new WebSocketCarrier(webSocket, { clock, remote });
      void this.#prove(carrier, binding).finally(leave);
    });
  }

  #enter(remote: string, address: string | undefined): (() => void) | undefined {
    this.#counts.started += 1;
    const leave = this.#stop.signal.aborted ? undefined : this.#unproved.enter(address);
    if (leave !== undefined) return leave;
    this.#counts.halfOpenLimit += 1;
    this.#fail(remote, new TransportError("refused", "too many peers in their handshake"));
    return undefined;
  }

  async #prove(carrier: Carrier, kind: ChannelBindingKind): Promise<void> {
    const { clock, random } = this.#deps;
    const { identity, settings } = this.#options;
    try {
      const session = await proveSession({
        clock,
        carrier,
        role: "listener",
        exchange: new ListenerProof({
          identity,
          binding: bindingOf(carrier, kind),
          nonce: random.bytes(nonceBytes),
          terms: sessionTerms(settings),
        }),
        settings: tunnelSettings(settings),
        deadline: settings.handshakeTimeout,
        signal: this.#stop.signal,
      });
      this.#counts.completed += 1;
      this.#hand(session);
    } catch (error) {
      carrier.close({ by: "us", code: "handshake_failed", text: "no proof of identity" });
      this.#fail(carrier.remote, error instanceof Error ? error : new Error(String(error)));
    }
  }

  #hand(session: Session): void {
    if (!this.#proved.push(session)) {
      this.#counts.queueFull += 1;
      session.close({ by: "us", code: "queue_full", text: "too many new sessions at once" });
      return;
    }
    this.#live.add(session);
    void session.closed.then(() => this.#live.delete(session));
  }

  #fail(remote: string, error: Error): void {
    this.#counts.failed += 1;
    this.#deps.refused?.(remote, error);
  }
}

function bindingOf(carrier: Carrier, kind: ChannelBindingKind): ChannelBinding {
  if (kind === "challenge") return { kind };
  const exporter = carrier.channelBinding();
  if (exporter !== undefined) return { kind, exporter };
  throw new TransportError("handshake_failed", "sessions take TLS 1.3", {
    data: { reason: "no_exporter" },
  });
}

function pathOf(url: string): string {
  const query = url.indexOf("?");
  return query === -1 ? url : url.slice(0, query);
}

function refuse(socket: Duplex, status: number): void {
  const text = STATUS_CODES[status] ?? "";
  socket.once("finish", () => socket.destroy());
  socket.end(`HTTP/1.1 ${status} ${text}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}

/** Sessions that are proved and that nobody has taken; whoever consumes them takes them at once. */
const maxWaiting = 256;
