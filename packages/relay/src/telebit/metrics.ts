import { Counter, Gauge, type Registry } from "@culvert/telemetry";
import type { TunnelDropReason } from "@culvert/transport";
import type { TelebitFaultCode } from "./telebit-scope.ts";

/** Why a device was not even let in. */
export type DeviceRefusal = "devices" | "strangers" | "strangersPerAddress" | "draining";

/** What the scrape reads from the running relay. */
export interface TelebitGauges {
  /** Devices with a token in force, and those without. */
  devices(): { readonly authorised: number; readonly waiting: number };
  connections(): number;
  drops(): Readonly<Record<TunnelDropReason, number>>;
}

/** Metrics of the Telebit side of a relay. No label comes from what a device says. */
export class TelebitMetrics {
  readonly refused: Counter<"reason">;
  readonly closed: Counter<"by">;
  readonly tokens: Counter<"result">;
  readonly opened: Counter<"service">;
  #gauges: TelebitGauges | undefined;

  constructor(registry: Registry) {
    const registers = [registry];
    const gauges = (): TelebitGauges | undefined => this.#gauges;
    this.refused = new Counter({
      name: "culvert_relay_telebit_devices_refused_total",
      help: "Telebit devices turned away before their WebSocket was opened, by the limit reached.",
      labelNames: ["reason"],
      registers,
    });
    this.closed = new Counter({
      name: "culvert_relay_telebit_devices_closed_total",
      help: "Telebit devices that left or were closed, by who is to blame.",
      labelNames: ["by"],
      registers,
    });
    this.tokens = new Counter({
      name: "culvert_relay_telebit_tokens_total",
      help: "Tokens judged: accepted, or the code they were refused with.",
      labelNames: ["result"],
      registers,
    });
    this.opened = new Counter({
      name: "culvert_relay_telebit_connections_opened_total",
      help: "Public connections handed to Telebit devices, by service.",
      labelNames: ["service"],
      registers,
    });
    new Gauge({
      name: "culvert_relay_telebit_devices",
      help: "Telebit devices connected now, by whether they hold a token.",
      labelNames: ["state"],
      registers,
      collect() {
        const devices = gauges()?.devices();
        this.set({ state: "authorised" }, devices?.authorised ?? 0);
        this.set({ state: "waiting" }, devices?.waiting ?? 0);
      },
    });
    new Gauge({
      name: "culvert_relay_telebit_connections",
      help: "Public connections of Telebit devices open now.",
      registers,
      collect() {
        this.set(gauges()?.connections() ?? 0);
      },
    });
    new Counter({
      name: "culvert_relay_telebit_drops_total",
      help: "What devices sent and was thrown away or refused, by reason.",
      labelNames: ["reason"],
      registers,
      collect() {
        this.reset();
        for (const [reason, drops] of Object.entries(gauges()?.drops() ?? {})) {
          this.inc({ reason }, drops);
        }
      },
    });
  }

  /** Counts a judged token. */
  judged(result: "accepted" | TelebitFaultCode): void {
    this.tokens.inc({ result });
  }

  /** Connects the scrape to the running relay. */
  attach(gauges: TelebitGauges): void {
    this.#gauges = gauges;
  }
}
