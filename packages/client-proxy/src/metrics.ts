import { Counter, Gauge, type Registry } from "@culvert/telemetry";

/** Metrics of a client proxy. */
export class ClientMetrics {
  readonly connectionsOpened: Counter<"entrance">;
  readonly connectionsRefused: Counter<"status">;
  readonly bytes: Counter<"direction">;
  readonly connections: Gauge;

  constructor(registry: Registry) {
    const registers = [registry];
    this.connectionsOpened = new Counter({
      name: "culvert_client_connections_opened_total",
      help: "Forwarded connections opened, by entrance.",
      labelNames: ["entrance"],
      registers,
    });
    this.connectionsRefused = new Counter({
      name: "culvert_client_connections_refused_total",
      help: "Local connections that could not be forwarded, by status.",
      labelNames: ["status"],
      registers,
    });
    this.bytes = new Counter({
      name: "culvert_client_bytes_total",
      help: "Bytes of ended connections, by direction as the user sees it.",
      labelNames: ["direction"],
      registers,
    });
    this.connections = new Gauge({
      name: "culvert_client_connections",
      help: "Forwarded connections open now.",
      registers,
    });
  }
}
