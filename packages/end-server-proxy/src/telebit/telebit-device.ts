import {
  errorText,
  formatCloseReason,
  millis,
  RetrySchedule,
  sleep,
  TransportError,
  withDeadline,
  type ByteStream,
  type Clock,
  type CloseReason,
  type Millis,
  type Random,
  type RetryOptions,
} from "@culvert/runtime";
import type { Log } from "@culvert/telemetry";
import {
  MproxyTunnel,
  shutdownReason,
  type Carrier,
  type ConnectionMeta,
  type Tunnel,
} from "@culvert/transport";
import type { PublicDesk } from "../public/public-desk.ts";
import { DeviceChannel, type DeviceEffect, type TelebitGrant } from "./device-channel.ts";
import type { TelebitMetrics } from "./metrics.ts";
import { telebitOffer } from "./telebit-offer.ts";

/** What a device needs from outside. */
export interface TelebitDeviceDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: TelebitMetrics;
  /** Serves the connections; refuses what is not exposed. */
  readonly desk: PublicDesk;
  readonly dial: (signal: AbortSignal) => Promise<Carrier>;
  /** The tokens, read anew for every attempt. */
  readonly tokens: () => Promise<readonly string[]>;
}

/** How a device behaves. */
export interface TelebitDeviceOptions {
  /** For logs and status. */
  readonly relay: string;
  readonly maxConnections: number;
  readonly retry: RetryOptions;
  /** From the look-up of the relay's name to the open WebSocket. */
  readonly dialTimeout: Millis;
  readonly drainTimeout: Millis;
}

/** How a device stands with its relay; plain JSON. */
export interface TelebitStatus {
  readonly relay: string;
  readonly state: "idle" | "connecting" | "attached" | "stopped";
  readonly lastError?: string;
  /** What the relay says we have. */
  readonly names: readonly string[];
  readonly ports: readonly number[];
  readonly connections: number;
}

/**
 * P4 as a device of a Telebit relay: keeps one tunnel to it with the tokens taken, dials again with jittered back-off, for ever,
 * and hands the relay's connections to the desk of what is exposed.
 */
export class TelebitDevice {
  readonly #deps: TelebitDeviceDeps;
  readonly #options: TelebitDeviceOptions;
  readonly #schedule: RetrySchedule;
  readonly #stop = new AbortController();
  #state: TelebitStatus["state"] = "idle";
  #lastError: string | undefined;
  #granted: TelebitGrant = nothingGranted;
  #tunnel: Tunnel | undefined;
  #running: Promise<void> = Promise.resolve();
  #open = 0;
  #draining = false;
  #emptied: (() => void) | undefined;
  #onAttached: () => void = () => undefined;
  /** Resolves when the relay has taken the tokens for the first time. */
  readonly ready: Promise<void>;

  constructor(deps: TelebitDeviceDeps, options: TelebitDeviceOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#schedule = new RetrySchedule(deps.random, options.retry);
    this.ready = new Promise((resolve) => (this.#onAttached = resolve));
  }

  /** Starts dialling; returns at once. */
  start(): void {
    if (this.#state !== "idle") return;
    this.#state = "connecting";
    this.#running = this.#run();
  }

  /** A picture for `culvert status`. */
  status(): TelebitStatus {
    return {
      relay: this.#options.relay,
      state: this.#state,
      ...(this.#lastError === undefined ? {} : { lastError: this.#lastError }),
      ...this.#granted,
      connections: this.#open,
    };
  }

  /** Takes nothing new, and resolves when the open connections have ended or the drain time-out has passed. */
  async drain(): Promise<void> {
    this.#draining = true;
    if (this.#open === 0) return;
    const { clock } = this.#deps;
    const limit = this.#options.drainTimeout;
    await withDeadline({ clock, limit, what: "draining" }, () => {
      return new Promise<void>((resolve) => (this.#emptied = resolve));
    }).catch(() => undefined);
  }

  /** Stops dialling, for good, and closes the tunnel. */
  async close(): Promise<void> {
    this.#state = "stopped";
    this.#stop.abort(new TransportError("aborted", shutdownReason.text));
    this.#tunnel?.close(shutdownReason);
    await this.#running;
  }

  async #run(): Promise<void> {
    const stopped = (): boolean => this.#stop.signal.aborted;
    while (!stopped()) {
      const delay = await this.#connectOnce();
      if (!stopped()) {
        this.#deps.log.warn("server.telebit.retry", {
          relay: this.#options.relay,
          reason: this.#lastError,
          delayMs: Math.round(delay),
        });
      }
      await sleep(this.#deps.clock, delay, this.#stop.signal).catch(() => undefined);
    }
  }

  /** One tunnel from dial to end. Returns how long to wait before the next. */
  async #connectOnce(): Promise<Millis> {
    const { clock, log, metrics } = this.#deps;
    const { relay } = this.#options;
    let tunnel: Tunnel | undefined;
    try {
      const tokens = await this.#deps.tokens();
      tunnel = await this.#dial();
      await this.#attach(tunnel, tokens);
      const attachedAt = clock.now();
      this.#state = "attached";
      this.#lastError = undefined;
      metrics.attempts.inc({ outcome: "attached" });
      metrics.attached.set(1);
      log.info("server.telebit.attached", { relay, remote: tunnel.remote });
      this.#onAttached();
      const reason = await tunnel.closed;
      this.#lost(reason, attachedAt);
      return this.#schedule.next();
    } catch (error) {
      const isRefused = error instanceof TransportError && error.code === "refused";
      metrics.attempts.inc({ outcome: isRefused ? "refused" : "failed" });
      tunnel?.close({ by: "us", code: "attach_failed", text: errorText(error) });
      if (!this.#stop.signal.aborted) this.#lastError = errorText(error);
      const delay = this.#schedule.next();
      // What was refused will be so again, until somebody changes the token.
      return isRefused ? millis(Math.max(delay, refusedPause)) : delay;
    } finally {
      this.#tunnel = undefined;
      this.#granted = nothingGranted;
    }
  }

  async #dial(): Promise<Tunnel> {
    const { clock, dial } = this.#deps;
    const carrier = await withDeadline(
      {
        clock,
        limit: this.#options.dialTimeout,
        what: `dialling ${this.#options.relay}`,
        signal: this.#stop.signal,
        discard: (late: Carrier) => late.close(tooLate),
      },
      dial,
    );
    const settings = { keepAlive, idleTimeout };
    const tunnel = new MproxyTunnel({ carrier, clock }, { dialect: "telebit-device", settings });
    this.#tunnel = tunnel;
    // The relay may have connections for us as soon as it has granted something.
    tunnel.allowStreams((meta, stream) => void this.#serve(meta, stream));
    return tunnel;
  }

  /** @throws TransportError `refused`, `timeout`, `connection_closed`, `aborted`. */
  #attach(tunnel: Tunnel, tokens: readonly string[]): Promise<void> {
    const { clock, random } = this.#deps;
    const channel = new DeviceChannel(random, tokens);
    const what = `the answer of ${this.#options.relay} to our tokens`;
    return withDeadline(
      { clock, limit: attachLimit, what, signal: this.#stop.signal },
      () =>
        new Promise((resolve, reject) => {
          tunnel.control.on((message) => {
            for (const effect of channel.handleMessage(message)) {
              this.#do(effect, tunnel, resolve, reject);
            }
          });
          void tunnel.closed.then((reason) => {
            reject(new TransportError("connection_closed", formatCloseReason(reason)));
          });
        }),
    );
  }

  #do(
    effect: DeviceEffect,
    tunnel: Tunnel,
    attached: () => void,
    failed: (error: Error) => void,
  ): void {
    const { log } = this.#deps;
    const { relay } = this.#options;
    switch (effect.kind) {
      case "send":
        tunnel.control.send(effect.message);
        break;
      case "attached":
        attached();
        break;
      case "granted":
        this.#granted = effect.grant;
        log.info("server.telebit.granted", { relay, ...effect.grant });
        break;
      case "refused":
        log.warn("server.telebit.refused", { relay, reason: effect.text });
        failed(new TransportError("refused", effect.text));
        break;
      case "notice":
        log.warn("server.telebit.refused", { relay, reason: effect.text });
        break;
    }
  }

  #lost(reason: CloseReason, attachedAt: Millis): void {
    const { clock, log, metrics } = this.#deps;
    metrics.attached.set(0);
    if (this.#state !== "stopped") this.#state = "connecting";
    this.#lastError = formatCloseReason(reason);
    log.info("server.telebit.detached", { relay: this.#options.relay, reason: this.#lastError });
    // A tunnel that dies young counts as a failed attempt.
    if (clock.now() - attachedAt >= youngTunnel) this.#schedule.reset();
  }

  /** Serves one connection of the relay to its end. Owns the stream; never rejects. */
  async #serve(meta: ConnectionMeta, stream: ByteStream): Promise<void> {
    const { desk, log, random } = this.#deps;
    stream.on("error", () => undefined);
    const gone = new AbortController();
    stream.once("close", () => gone.abort());
    this.#open += 1;
    try {
      if (this.#draining) throw new TransportError("refused", "this device is shutting down");
      if (this.#open > this.#options.maxConnections) {
        throw new TransportError("refused", "this device has too many connections");
      }
      const offer = telebitOffer(meta);
      if (offer === undefined) throw new TransportError("refused", "unknown service");
      const trace = Buffer.from(random.bytes(16)).toString("hex");
      await desk.serve({ offer, trace, asWritten: true, accept: () => stream }, gone.signal);
    } catch (error) {
      log.warn("server.connection.refused", { client: "public", reason: errorText(error) });
      stream.destroy(error instanceof Error ? error : new Error(String(error)));
    } finally {
      this.#open -= 1;
      if (this.#open === 0) this.#emptied?.();
    }
  }
}

const nothingGranted: TelebitGrant = { names: [], ports: [] };
const tooLate: CloseReason = { by: "us", code: "too_late", text: "dialled too slowly" };
/** For hello, and the answers to all tokens: the time-out the real programs have for one answer. */
const attachLimit = millis(10_000);
const refusedPause = millis(5_000);
const youngTunnel = millis(1_000);
/** As the real client: asks after 6 s of silence, gives up 10 s later. */
const keepAlive = millis(6_000);
const idleTimeout = millis(16_000);
