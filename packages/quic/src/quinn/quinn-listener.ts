import { BoundedQueue, withDeadline, millis, errorText } from "@culvert/runtime";
import type {
  EngineDeps,
  ListenOptions,
  QuicConnection,
  QuicListener,
  QuicListenerStats,
  UdpAddress,
} from "../engine.ts";
import type { NativeConnection, NativeServer } from "./addon.ts";
import { QuinnConnection } from "./quinn-connection.ts";
import { parseRemote } from "./remote-address.ts";

/** A UDP port bound by quinn. */
export class QuinnListener implements QuicListener {
  readonly engine = "quinn" as const;
  readonly address: UdpAddress;
  readonly connections: BoundedQueue<QuicConnection>;
  readonly #native: NativeServer;
  readonly #deps: Pick<EngineDeps, "clock" | "warn">;
  readonly #options: ListenOptions;
  readonly #live = new Set<QuinnConnection>();
  readonly #counts = { completed: 0, failed: 0, queueFull: 0 };
  /** Acceptances in a row that failed as soon as they were asked for. */
  #failedAtOnce = 0;
  #closing: Promise<void> | undefined;

  constructor(
    native: NativeServer,
    deps: Pick<EngineDeps, "clock" | "warn">,
    options: ListenOptions,
  ) {
    this.#native = native;
    this.#deps = deps;
    this.#options = options;
    this.address = { host: options.address.host, port: native.port() };
    const maxHalfOpen = Math.max(1, options.settings.maxHalfOpen);
    this.connections = new BoundedQueue(maxHalfOpen);
    // One acceptance covers a whole handshake, so as many handshakes as there are pending acceptances can be under way: with
    // few, a few silent peers would keep everybody else out.
    for (let slot = Math.min(maxHalfOpen, maxHandshakes); slot > 0; slot -= 1) this.#acceptNext();
  }

  stats(): QuicListenerStats {
    const { acceptedHandshakes, refusedHandshakes, ignoredHandshakes } = this.#native.stats();
    const { completed, failed, queueFull } = this.#counts;
    return {
      handshakesStarted: acceptedHandshakes,
      handshakesCompleted: completed,
      handshakesFailed: failed,
      halfOpen: Math.max(0, acceptedHandshakes - completed - failed),
      retriesSent: 0,
      drops: {
        malformed: 0,
        unknown_connection: 0,
        bad_token: 0,
        half_open_limit: refusedHandshakes + ignoredHandshakes,
        rate_limit: 0,
        queue_full: queueFull,
      },
    };
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.connections.drain();
    const reason = { by: "us", code: "listener_closed", text: "the listener was closed" } as const;
    for (const connection of [...this.#live]) connection.close(reason);
    // The peers' silence must not keep the port's owner waiting: quinn goes on draining without us.
    const options = { clock: this.#deps.clock, limit: maxClose, what: "the close of a listener" };
    await withDeadline(options, () => this.#native.abort()).catch(() => undefined);
  }

  #acceptNext(): void {
    if (this.#closing !== undefined) return;
    const askedMs = this.#deps.clock.now();
    this.#native.inboundConnection().then(
      (native) => {
        this.#failedAtOnce = 0;
        this.#acceptNext();
        this.#accept(native);
      },
      (error: unknown) => this.#handleFailure(error, this.#deps.clock.now() - askedMs),
    );
  }

  #handleFailure(error: unknown, afterMs: number): void {
    if (this.#closing !== undefined) return;
    const text = errorText(error);
    if (text === "server closed") {
      const { port } = this.address;
      this.#deps.warn({
        code: "engine_fault",
        text: `quinn closed UDP port ${port}, which nobody asked for: nobody can connect to it until it is listened on anew`,
        data: { ...this.address },
      });
      void this.close();
      return;
    }
    // A failed handshake ends this acceptance only.
    this.#counts.failed += 1;
    this.#failedAtOnce = afterMs < atOnceMs ? this.#failedAtOnce + 1 : 0;
    if (this.#failedAtOnce < mostFailuresAtOnce) {
      this.#acceptNext();
      return;
    }
    // Whatever ails quinn, it must not take the processor with it.
    this.#deps.clock.setTimer(failurePause, () => this.#acceptNext(), { unref: true });
  }

  #accept(native: NativeConnection): void {
    if (this.#closing !== undefined) {
      native.abort();
      return;
    }
    let connection: QuinnConnection;
    try {
      connection = new QuinnConnection(native, this.#deps.clock, {
        ...parseRemote(native.remoteMultiaddr()),
        side: "server",
        settings: this.#options.settings,
      });
    } catch {
      // A peer whose key is not Ed25519: quinn lets every libp2p key in.
      this.#counts.failed += 1;
      native.abort();
      return;
    }
    this.#counts.completed += 1;
    if (!this.connections.push(connection)) {
      this.#counts.queueFull += 1;
      connection.close({ by: "us", code: "queue_full", text: "nobody takes new connections" });
      return;
    }
    this.#live.add(connection);
    void connection.closed.then(() => this.#live.delete(connection));
  }
}

/** Handshakes under way at a time, each with up to 384 KiB; what comes on top waits inside quinn, which bounds it. */
const maxHandshakes = 256;
/** Draining takes three times the probe time-out (RFC 9000 §10.2), and unfinished handshakes have a long one. */
const maxClose = millis(2_000);
/** No handshake fails as fast as this, for it takes a round trip. */
const atOnceMs = 1;
const mostFailuresAtOnce = 16;
const failurePause = millis(100);
