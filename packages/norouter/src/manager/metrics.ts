import { Counter, Gauge, type Registry } from "@culvert/telemetry";
import { dropReasons, type DropReason } from "./packet-switch.ts";

/** What a manager counts. */
export class ManagerMetrics {
  readonly #packets: Counter;
  readonly #bytes: Counter;
  readonly #drops: Counter<"reason">;
  readonly #losses: Counter;
  readonly #ready: Gauge;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#packets = new Counter({
      name: "culvert_norouter_forwarded_packets_total",
      help: "IP packets forwarded from one agent to another.",
      registers,
    });
    this.#bytes = new Counter({
      name: "culvert_norouter_forwarded_bytes_total",
      help: "Bytes of the IP packets forwarded from one agent to another, headers included.",
      registers,
    });
    this.#drops = new Counter({
      name: "culvert_norouter_dropped_packets_total",
      help: "IP packets from agents that were not forwarded, by reason.",
      labelNames: ["reason"],
      registers,
    });
    for (const reason of dropReasons) this.#drops.inc({ reason }, 0);
    this.#losses = new Counter({
      name: "culvert_norouter_agent_losses_total",
      help: "Agents that ended, or could not do what they were told, without being asked to end.",
      registers,
    });
    this.#ready = new Gauge({
      name: "culvert_norouter_agents_ready",
      help: "Agents that are ready now.",
      registers,
    });
  }

  /** A packet of this many bytes was forwarded. */
  forwarded(bytes: number): void {
    this.#packets.inc();
    this.#bytes.inc(bytes);
  }

  /** A packet was not forwarded. */
  dropped(reason: DropReason): void {
    this.#drops.inc({ reason });
  }

  /** An agent was lost. */
  lost(): void {
    this.#losses.inc();
  }

  /** So many agents are ready. */
  ready(count: number): void {
    this.#ready.set(count);
  }
}
