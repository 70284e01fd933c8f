import { Counter, Gauge, type Registry } from "@culvert/telemetry";

/** Metrics of an end-server proxy. */
export class EndServerMetrics {
  readonly connectionsOpened: Counter;
  readonly connectionsRefused: Counter<"status">;
  readonly bytes: Counter<"direction">;
  readonly connections: Gauge;

  constructor(registry: Registry) {
    const registers = [registry];
    this.connectionsOpened = new Counter({
      name: "culvert_server_connections_opened_total",
      help: "Connections opened to local targets.",
      registers,
    });
    this.connectionsRefused = new Counter({
      name: "culvert_server_connections_refused_total",
      help: "Offers refused, by the status answered.",
      labelNames: ["status"],
      registers,
    });
    this.bytes = new Counter({
      name: "culvert_server_bytes_total",
      help: "Bytes of ended connections, by direction.",
      labelNames: ["direction"],
      registers,
    });
    this.connections = new Gauge({
      name: "culvert_server_connections",
      help: "Connections to local targets open now.",
      registers,
    });
  }
}
