import { Counter, Gauge, type Registry } from "@culvert/telemetry";
import type { AdmissionLimit } from "./admission.ts";

/** Why a public connection or request was turned away. */
export type PublicRefusal =
  | AdmissionLimit
  | "bad_hello"
  | "bad_request"
  | "head_too_large"
  | "slow_head"
  | "slow_tls"
  | "left"
  | "tls_failed"
  | "unknown_name"
  | "device_away"
  | "device_failed"
  | "crowded"
  | "misdirected"
  | "draining";

/** What the scrape reads from the running entrance. */
export interface PublicGauges {
  connections(): number;
  handshakes(): number;
  names(): number;
  /** Bytes since the start, live connections included. */
  bytes(): { readonly up: number; readonly down: number };
  /** Seconds until the first certificate from files or ACME expires; undefined where there is none. */
  certificateSeconds(): number | undefined;
}

/** Metrics of the public entrance. No label comes from what a client says. */
export class PublicMetrics {
  readonly opened: Counter<"service">;
  readonly refused: Counter<"reason">;
  readonly requests: Counter<"status">;
  readonly certificates: Counter<"source" | "result">;
  #gauges: PublicGauges | undefined;

  constructor(registry: Registry) {
    const registers = [registry];
    const gauges = (): PublicGauges | undefined => this.#gauges;
    this.opened = new Counter({
      name: "culvert_relay_public_connections_opened_total",
      help: "Streams opened to devices for public connections, by what is spoken on them.",
      labelNames: ["service"],
      registers,
    });
    this.refused = new Counter({
      name: "culvert_relay_public_refused_total",
      help: "Public connections and requests turned away, by reason.",
      labelNames: ["reason"],
      registers,
    });
    this.requests = new Counter({
      name: "culvert_relay_public_requests_total",
      help: "HTTP requests answered, by class of the status.",
      labelNames: ["status"],
      registers,
    });
    this.certificates = new Counter({
      name: "culvert_relay_certificates_total",
      help: "Certificates read from files or got by ACME, by source and result.",
      labelNames: ["source", "result"],
      registers,
    });
    new Gauge({
      name: "culvert_relay_public_connections",
      help: "Public connections open now.",
      registers,
      collect() {
        this.set(gauges()?.connections() ?? 0);
      },
    });
    new Gauge({
      name: "culvert_relay_public_handshakes",
      help: "Public connections whose purpose is not known yet.",
      registers,
      collect() {
        this.set(gauges()?.handshakes() ?? 0);
      },
    });
    new Gauge({
      name: "culvert_relay_public_names",
      help: "Public names served, counted once for each device.",
      registers,
      collect() {
        this.set(gauges()?.names() ?? 0);
      },
    });
    new Gauge({
      name: "culvert_relay_certificate_expiry_seconds",
      help: "Time until the first certificate from files or ACME expires; 0 where there is none.",
      registers,
      collect() {
        this.set(gauges()?.certificateSeconds() ?? 0);
      },
    });
    new Counter({
      name: "culvert_relay_public_bytes_total",
      help: "Bytes of public connections as sent on the wire, by direction seen from the client.",
      labelNames: ["direction"],
      registers,
      collect() {
        const bytes = gauges()?.bytes();
        this.reset();
        this.inc({ direction: "up" }, bytes?.up ?? 0);
        this.inc({ direction: "down" }, bytes?.down ?? 0);
      },
    });
  }

  /** Connects the scrape to the running entrance. */
  attach(gauges: PublicGauges): void {
    this.#gauges = gauges;
  }
}
