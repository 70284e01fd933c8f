import { createHash } from "node:crypto";
import {
  errorText,
  formatCloseReason,
  InternalError,
  withDeadline,
  type Clock,
  type CloseReason,
  type Millis,
  type Timer,
} from "@culvert/runtime";
import type { Log } from "@culvert/telemetry";
import type { Tunnel, TunnelStats } from "@culvert/transport";
import { ControlChannel, type ControlEffect } from "./control-channel.ts";
import { applyScope, type Applied, type GrantTables } from "./grant-desk.ts";
import type { TelebitMetrics } from "./metrics.ts";
import { TelebitDevice } from "./telebit-device.ts";
import type { TelebitOptions } from "./telebit-options.ts";
import type { TelebitScope } from "./telebit-scope.ts";
import type { TokenVerifier } from "./token-verifier.ts";

/** What a {@link TelebitSession} is made from. */
export interface TelebitSessionDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: TelebitMetrics;
  readonly verifier: TokenVerifier;
  readonly tables: GrantTables;
  /** Started, in the dialect of a Telebit relay; the session owns it. */
  readonly tunnel: Tunnel;
  /** Sends a ping below the tunnel and resolves with its answer. */
  readonly ping: () => Promise<void>;
}

/** One connected Telebit device, as `culvert status` shows it; plain JSON. */
export interface TelebitDeviceStatus {
  readonly remote: string;
  readonly names: readonly string[];
  readonly ports: readonly number[];
  readonly connections: number;
  readonly ageMs: number;
  readonly sentBytes: number;
  readonly receivedBytes: number;
}

/** One Telebit device that is connected: drives its control channel, and keeps what it is granted in the tables. */
export class TelebitSession {
  readonly device: TelebitDevice;
  /** Settles when the device is gone and everything it was granted is free again; never rejects. */
  readonly released: Promise<void>;
  readonly #deps: TelebitSessionDeps;
  readonly #options: TelebitOptions;
  readonly #channel: ControlChannel;
  readonly #grants = new Map<number, Grant>();
  #timer: Timer | undefined;
  readonly #openedAt: Millis;
  #streamsAllowed = false;
  #over = false;

  constructor(deps: TelebitSessionDeps, options: TelebitOptions) {
    this.#deps = deps;
    this.#options = options;
    const { clock, tunnel, metrics } = deps;
    const { limits, publicHost } = options;
    this.#openedAt = clock.now();
    this.#channel = new ControlChannel({ limits, portHost: publicHost, digest }, clock.now());
    this.device = new TelebitDevice(`telebit ${tunnel.remote}`, {
      clock,
      tunnel,
      limits,
      opened: ({ service }) => metrics.opened.inc({ service }),
    });
    this.released = tunnel.closed.then((reason) => this.#release(reason));
  }

  /** Whether it holds a token in force. */
  get authorised(): boolean {
    return this.#channel.authorised && !this.#over;
  }

  /** A picture of it. */
  status(): TelebitDeviceStatus {
    const { clock, tunnel } = this.#deps;
    const { sentBytes, receivedBytes } = tunnel.stats();
    const scopes = this.#scopes();
    return {
      remote: tunnel.remote,
      names: [...new Set(scopes.flatMap(({ domains }) => domains))],
      ports: [...new Set(scopes.flatMap(({ ports }) => ports))],
      connections: this.device.connections,
      ageMs: Math.round(clock.now() - this.#openedAt),
      sentBytes,
      receivedBytes,
    };
  }

  /** What it sent that was thrown away, by reason. */
  get drops(): TunnelStats["drops"] {
    return this.#deps.tunnel.stats().drops;
  }

  /** Begins, with the token the device came with, if any. Called once. */
  start(token: string | undefined): void {
    const { clock, log, tunnel } = this.#deps;
    // Whoever can reach the relay can open one: what is on record begins with the grant.
    log.debug("relay.telebit.opened", { withToken: token !== undefined });
    tunnel.control.on((message) => {
      this.#run(this.#channel.handleMessage(clock.now(), message));
    });
    this.#run(this.#channel.start(clock.now(), token));
  }

  /** Whether the device answers a ping in time; one that does not is closed. */
  async probe(): Promise<boolean> {
    const { clock, ping } = this.#deps;
    const limit = this.#options.limits.probeTimeout;
    try {
      await withDeadline({ clock, limit, what: "a sign of life" }, ping);
      return !this.#over;
    } catch (error) {
      this.close({ by: "timeout", code: "replaced", text: errorText(error) });
      return false;
    }
  }

  /** Closes the device's tunnel, and thereby takes everything back. */
  close(reason: CloseReason): void {
    this.#deps.tunnel.close(reason);
  }

  #run(effects: readonly ControlEffect[]): void {
    for (const effect of effects) if (!this.#over) this.#do(effect);
    this.#timer?.cancel();
    const { wakeAt } = this.#channel;
    if (wakeAt === undefined || this.#over) return;
    const { clock } = this.#deps;
    const delay = Math.max(0, wakeAt - clock.now()) as typeof wakeAt;
    this.#timer = clock.setTimer(delay, () => this.#run(this.#channel.handleTimer(clock.now())));
  }

  #do(effect: ControlEffect): void {
    const { tunnel } = this.#deps;
    switch (effect.kind) {
      case "send":
        tunnel.control.send(effect.message);
        break;
      case "verify":
        void this.#verify(effect.ref, effect.token);
        break;
      case "apply":
        void this.#apply(effect.ref, effect.scope);
        break;
      case "revoke":
        void this.#revoke(effect.ref);
        break;
      case "close":
        tunnel.close({ by: "us", code: effect.code, text: effect.text });
        break;
    }
  }

  async #verify(ref: number, token: string): Promise<void> {
    const { clock, log, metrics, verifier } = this.#deps;
    const verdict = await verifier.verify(token);
    metrics.judged(verdict.kind === "good" ? "accepted" : verdict.fault.code);
    if (verdict.kind === "refused") {
      log.warn("relay.telebit.token.refused", {
        code: verdict.fault.code,
        reason: verdict.fault.message,
      });
    }
    if (this.#over) return;
    this.#run(this.#channel.handleVerdict(clock.now(), clock.wallNowMs(), ref, verdict));
  }

  async #apply(ref: number, scope: TelebitScope): Promise<void> {
    const { clock, log, tables, tunnel } = this.#deps;
    // Before the first name is in the tables: a client may be waiting for it.
    if (!this.device.connected) this.#serve(tunnel);
    const applied = applyScope(scope, this.device, tables);
    this.#grants.set(ref, { scope, applied });
    const outcome = await applied;
    const given = this.#grants.has(ref) && !this.#over;
    if (outcome.kind === "refused") {
      this.#grants.delete(ref);
      log.warn("relay.telebit.grant.refused", {
        code: outcome.fault.code,
        reason: outcome.fault.message,
      });
      if (given) this.#run(this.#channel.handleApplied(clock.now(), ref, outcome.fault));
      return;
    }
    // Otherwise it was taken back meanwhile, and whoever did waits for this very promise.
    if (!given) return;
    log.info("relay.telebit.granted", { domains: scope.domains, ports: scope.ports });
    this.#run(this.#channel.handleApplied(clock.now(), ref, undefined));
  }

  #scopes(): readonly TelebitScope[] {
    return [...this.#grants.values()].map(({ scope }) => scope);
  }

  #serve(tunnel: Tunnel): void {
    if (!this.#streamsAllowed) {
      this.#streamsAllowed = true;
      tunnel.allowStreams((meta, stream) => {
        // The tunnel itself refuses what a device opens.
        stream.destroy(new InternalError("invariant", `a device opened ${meta.service}`));
      });
    }
    this.device.connected = true;
  }

  async #revoke(ref: number): Promise<void> {
    const grant = this.#grants.get(ref);
    if (grant === undefined) return;
    this.#grants.delete(ref);
    const outcome = await grant.applied;
    if (outcome.kind === "refused") return;
    await outcome.revoke().catch(() => undefined);
    this.device.closeUncovered(this.#scopes());
    const { domains, ports } = grant.scope;
    this.#deps.log.info("relay.telebit.revoked", { domains, ports });
  }

  async #release(reason: CloseReason): Promise<void> {
    const { log, metrics } = this.#deps;
    this.#over = true;
    this.device.connected = false;
    this.#timer?.cancel();
    await Promise.all([...this.#grants.keys()].map((ref) => this.#revoke(ref)));
    metrics.closed.inc({ by: reason.by });
    log[this.#streamsAllowed ? "info" : "debug"]("relay.telebit.closed", {
      code: reason.code,
      reason: formatCloseReason(reason),
      helloUnanswered: this.#channel.helloUnanswered,
      durationMs: Math.round(this.#deps.clock.now() - this.#openedAt),
    });
  }
}

interface Grant {
  readonly scope: TelebitScope;
  readonly applied: Promise<Applied>;
}

function digest(token: string): string {
  return createHash("sha256").update(token).digest("base64");
}
