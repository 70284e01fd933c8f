import { Counter, Gauge, type Registry } from "@culvert/telemetry";

/** Metrics of a P2's or P4's link to its relay. */
export class LinkMetrics {
  readonly up: Gauge;
  readonly attempts: Counter<"result">;
  readonly lost: Counter<"by">;
  readonly transport: Gauge<"transport">;
  readonly moves: Counter;

  constructor(registry: Registry) {
    const registers = [registry];
    this.up = new Gauge({
      name: "culvert_link_up",
      help: "1 while attached to the relay, else 0.",
      registers,
    });
    this.attempts = new Counter({
      name: "culvert_link_attempts_total",
      help: "Attempts to attach to the relay, by result.",
      labelNames: ["result"],
      registers,
    });
    this.lost = new Counter({
      name: "culvert_link_lost_total",
      help: "Attached sessions that ended, by who is to blame.",
      labelNames: ["by"],
      registers,
    });
    this.transport = new Gauge({
      name: "culvert_link_transport",
      help: "1 for what carries the session to the relay now: quic/quinn, quic/quiche, mproxy/websocket.",
      labelNames: ["transport"],
      registers,
    });
    this.moves = new Counter({
      name: "culvert_link_moves_total",
      help: "Moves of the session to a better transport.",
      registers,
    });
  }
}
