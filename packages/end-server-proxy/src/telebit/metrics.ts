import { Counter, Gauge, type Registry } from "@culvert/telemetry";

/** Metrics of a device of a Telebit relay. */
export class TelebitMetrics {
  readonly attached: Gauge;
  readonly attempts: Counter<"outcome">;

  constructor(registry: Registry) {
    const registers = [registry];
    this.attached = new Gauge({
      name: "culvert_server_telebit_attached",
      help: "1 while the Telebit relay has taken our tokens, else 0.",
      registers,
    });
    this.attempts = new Counter({
      name: "culvert_server_telebit_attempts_total",
      help: "Attempts to attach to the Telebit relay, by outcome: attached, refused, failed.",
      labelNames: ["outcome"],
      registers,
    });
  }
}
