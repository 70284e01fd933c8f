import { Counter, Gauge, Histogram, type Registry } from "@culvert/telemetry";
import type { SessionListener, TunnelDropReason } from "@culvert/transport";

/** Why the relay would not keep a session. */
export type SessionRefusal =
  "unknown_peer" | "wrong_role" | "superseded" | "limit" | "malformed" | "timeout" | "draining";

/** What the scrape reads from the running relay. */
export interface RelayGauges {
  sessions(role: "client" | "server"): number;
  /** Attached sessions by what carries them; of the names our own transports have. */
  transports(): ReadonlyMap<string, number>;
  connections(): number;
  /** Bytes relayed since the start, live connections included. */
  bytes(): { readonly clientToServer: number; readonly serverToClient: number };
  /** The sum over all listeners. */
  listeners(): ReturnType<SessionListener["stats"]>;
  /** What peers sent by WebSocket and was thrown away, since the start. */
  tunnelDrops(): Readonly<Record<TunnelDropReason, number>>;
}

/** The relay's metrics, each declared here and nowhere else. No label comes from what a peer says. */
export class RelayMetrics {
  readonly sessionsOpened: Counter<"role">;
  readonly sessionsRefused: Counter<"reason">;
  readonly sessionsSuperseded: Counter;
  readonly sessionsMoved: Counter;
  readonly connectionsOpened: Counter;
  readonly connectionsRefused: Counter<"status">;
  readonly connectionsClosed: Counter<"cause">;
  readonly tipErrors: Counter<"reason">;
  readonly setupSeconds: Histogram;
  #gauges: RelayGauges | undefined;

  constructor(registry: Registry) {
    const registers = [registry];
    const gauges = (): RelayGauges | undefined => this.#gauges;
    this.sessionsOpened = new Counter({
      name: "culvert_relay_sessions_opened_total",
      help: "Sessions attached, by role.",
      labelNames: ["role"],
      registers,
    });
    this.sessionsRefused = new Counter({
      name: "culvert_relay_sessions_refused_total",
      help: "Sessions turned away, by reason.",
      labelNames: ["reason"],
      registers,
    });
    this.sessionsSuperseded = new Counter({
      name: "culvert_relay_sessions_superseded_total",
      help: "Sessions closed because a newer one of the same identity attached.",
      registers,
    });
    this.sessionsMoved = new Counter({
      name: "culvert_relay_sessions_moved_total",
      help: "Sessions whose peer has moved to a newer one, by a better transport.",
      registers,
    });
    this.connectionsOpened = new Counter({
      name: "culvert_relay_connections_opened_total",
      help: "Forwarded connections that both ends accepted.",
      registers,
    });
    this.connectionsRefused = new Counter({
      name: "culvert_relay_connections_refused_total",
      help: "Forwarded connections refused, by the status answered to the client.",
      labelNames: ["status"],
      registers,
    });
    this.connectionsClosed = new Counter({
      name: "culvert_relay_connections_closed_total",
      help: "Forwarded connections that ended, by cause.",
      labelNames: ["cause"],
      registers,
    });
    this.tipErrors = new Counter({
      name: "culvert_relay_tip_errors_total",
      help: "Tips that could not be used, by reason.",
      labelNames: ["reason"],
      registers,
    });
    this.setupSeconds = new Histogram({
      name: "culvert_relay_connection_setup_seconds",
      help: "Time from a client's stream to the server's answer.",
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
      registers,
    });
    new Gauge({
      name: "culvert_relay_sessions",
      help: "Sessions attached now, by role.",
      labelNames: ["role"],
      registers,
      collect() {
        for (const role of ["client", "server"] as const) {
          this.set({ role }, gauges()?.sessions(role) ?? 0);
        }
      },
    });
    new Gauge({
      name: "culvert_relay_transport_sessions",
      help: "Sessions attached now, by what carries them.",
      labelNames: ["transport"],
      registers,
      collect() {
        this.reset();
        for (const [transport, sessions] of gauges()?.transports() ?? []) {
          this.set({ transport }, sessions);
        }
      },
    });
    new Gauge({
      name: "culvert_relay_connections",
      help: "Forwarded connections open now.",
      registers,
      collect() {
        this.set(gauges()?.connections() ?? 0);
      },
    });
    new Counter({
      name: "culvert_relay_bytes_total",
      help: "Bytes relayed, by direction.",
      labelNames: ["direction"],
      registers,
      collect() {
        const bytes = gauges()?.bytes();
        this.reset();
        this.inc({ direction: "client_to_server" }, bytes?.clientToServer ?? 0);
        this.inc({ direction: "server_to_client" }, bytes?.serverToClient ?? 0);
      },
    });
    new Counter({
      name: "culvert_relay_tunnel_drops_total",
      help: "What peers sent by WebSocket and was thrown away or refused, by reason.",
      labelNames: ["reason"],
      registers,
      collect() {
        this.reset();
        for (const [reason, drops] of Object.entries(gauges()?.tunnelDrops() ?? {})) {
          this.inc({ reason }, drops);
        }
      },
    });
    new Counter({
      name: "culvert_quic_handshakes_total",
      help: "QUIC handshakes, by result.",
      labelNames: ["result"],
      registers,
      collect() {
        const stats = gauges()?.listeners();
        this.reset();
        this.inc({ result: "started" }, stats?.handshakesStarted ?? 0);
        this.inc({ result: "completed" }, stats?.handshakesCompleted ?? 0);
        this.inc({ result: "failed" }, stats?.handshakesFailed ?? 0);
      },
    });
    new Gauge({
      name: "culvert_quic_half_open",
      help: "QUIC handshakes under way now.",
      registers,
      collect() {
        this.set(gauges()?.listeners().halfOpen ?? 0);
      },
    });
    new Counter({
      name: "culvert_quic_retries_total",
      help: "Retry packets sent to prove addresses under load.",
      registers,
      collect() {
        this.reset();
        this.inc(gauges()?.listeners().retriesSent ?? 0);
      },
    });
    new Counter({
      name: "culvert_quic_datagrams_dropped_total",
      help: "Received datagrams thrown away, by reason.",
      labelNames: ["reason"],
      registers,
      collect() {
        this.reset();
        for (const [reason, drops] of Object.entries(gauges()?.listeners().drops ?? {})) {
          this.inc({ reason }, drops);
        }
      },
    });
  }

  /** Connects the scrape to the running relay. */
  attach(gauges: RelayGauges): void {
    this.#gauges = gauges;
  }
}
