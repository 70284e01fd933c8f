import type { CloseReason } from "@culvert/runtime";
import type { PeerId } from "@culvert/identity";
import type { QuicConnection, QuicConnectionStats, QuicStream, UdpAddress } from "../engine.ts";
import { connectionClosedError } from "./close-reasons.ts";
import type { ConnectionDriver } from "./connection-driver.ts";
import type { DriverCounts } from "./driver-counts.ts";

/** An established quiche connection as the engine's callers see it. */
export class QuicheConnection implements QuicConnection {
  readonly engine = "quiche" as const;
  readonly peer: PeerId;
  readonly streams: AsyncIterable<QuicStream>;
  readonly closed: Promise<CloseReason>;
  readonly #driver: ConnectionDriver;
  #reason: CloseReason | undefined;
  #settle: (reason: CloseReason) => void = () => undefined;

  constructor(driver: ConnectionDriver, peer: PeerId) {
    this.#driver = driver;
    this.peer = peer;
    this.streams = driver.streams.accepted;
    this.closed = new Promise((resolve) => (this.#settle = resolve));
  }

  get remote(): UdpAddress {
    return this.#driver.remote;
  }

  /** What driving the connection has cost so far. */
  get counts(): Readonly<DriverCounts> {
    return this.#driver.counts;
  }

  openStream(): Promise<QuicStream> {
    if (this.#reason !== undefined) return Promise.reject(connectionClosedError(this.#reason));
    return Promise.resolve().then(() => {
      if (this.#reason !== undefined) throw connectionClosedError(this.#reason);
      return this.#driver.streams.openStream();
    });
  }

  drain(): Promise<void> {
    return this.#driver.drain();
  }

  close(reason: CloseReason): void {
    this.#driver.close(reason);
  }

  stats(): QuicConnectionStats {
    return this.#driver.stats();
  }

  /** The driver's last word. */
  handleEnded(reason: CloseReason): void {
    this.#reason = reason;
    this.#settle(reason);
  }
}
