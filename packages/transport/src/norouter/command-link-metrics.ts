import { Counter, Gauge, type Registry } from "@culvert/telemetry";

/** Metrics of the commands that a daemon keeps running for their sessions. */
export class CommandLinkMetrics {
  readonly up: Gauge;
  readonly starts: Counter;
  readonly failures: Counter<"state">;

  constructor(registry: Registry) {
    const registers = [registry];
    this.up = new Gauge({
      name: "culvert_command_links_up",
      help: "Links whose command has led to a session that lasts.",
      registers,
    });
    this.starts = new Counter({
      name: "culvert_command_link_starts_total",
      help: "Starts of the commands of links.",
      registers,
    });
    this.failures = new Counter({
      name: "culvert_command_link_failures_total",
      help: "Commands of links that ended or led to no session, by where they stood: starting or up.",
      labelNames: ["state"],
      registers,
    });
  }
}
