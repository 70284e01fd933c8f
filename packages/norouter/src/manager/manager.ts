import { isDeepStrictEqual } from "node:util";
import { millis, type Clock, type Random } from "@culvert/runtime";
import { rateLimited, type Log, type Registry } from "@culvert/telemetry";
import type { RouteSuggestion } from "@culvert/wire";
import { egressDefaults } from "../egress/frame-writer.ts";
import { configureArgsOf } from "../manifest/configure-args.ts";
import type { Manifest, ManifestHost } from "../manifest/manifest.ts";
import { formatIpv4, parseIpv4 } from "../router/ipv4.ts";
import type { LearnRefusal, RouterOptions } from "../router/router.ts";
import { AgentLines } from "./agent-lines.ts";
import type { AgentState, AgentStatus } from "./agent-state.ts";
import { AgentSupervisor, type AgentPlan, type SupervisionOptions } from "./agent-supervisor.ts";
import { ManagerMetrics } from "./metrics.ts";
import { addressAt, destinationOffset, PacketSwitch, sourceOffset } from "./packet-switch.ts";

/** What a {@link Manager} works with. */
export interface ManagerDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly registry: Registry;
}

/** How a {@link Manager} works. */
export interface ManagerOptions extends Partial<SupervisionOptions> {
  /** The command that starts an agent of ours on this machine, without `agent --automated`. */
  readonly self: readonly string[];
}

/** What a manager is doing, as plain JSON. */
export interface ManagerStatus {
  readonly agents: readonly AgentStatus[];
  /** What each host has sent to each other, since the manager started. */
  readonly pairs: readonly {
    readonly from: string;
    readonly to: string;
    readonly packets: number;
    readonly bytes: number;
  }[];
  /** Packets that were not forwarded, by reason. */
  readonly dropped: Readonly<Record<string, number>>;
  /** Addresses that are routed because agents suggested it. */
  readonly learnedRoutes: number;
  /** Suggestions of an address that were refused, by reason. */
  readonly refusedRoutes: Readonly<Record<RouteRefusal, number>>;
}

/** Why a suggested route is not taken: as {@link LearnRefusal}, or who suggests it has no proxy and is not the host it leads to. */
export type RouteRefusal = LearnRefusal | "no_proxy";

/** What a new manifest has changed, by names of hosts. */
export interface ReloadSummary {
  readonly added: readonly string[];
  readonly removed: readonly string[];
  /** Started again, since what they are told or their command is another. */
  readonly restarted: readonly string[];
  readonly kept: readonly string[];
}

/** Runs the agents of a manifest and forwards packets between them. */
export class Manager {
  readonly #deps: ManagerDeps;
  readonly #options: ManagerOptions & SupervisionOptions;
  readonly #metrics: ManagerMetrics;
  readonly #switch: PacketSwitch;
  readonly #agents = new Map<string, AgentSupervisor>();
  #manifest: Manifest;
  #names = new Map<number, string>();
  readonly #refusedRoutes: Record<RouteRefusal, number> = {
    no_proxy: 0,
    unknown_via: 0,
    routed_elsewhere: 0,
    special_address: 0,
  };
  /** Changes run one after the other. */
  #change: Promise<unknown> = Promise.resolve();
  #started = false;
  #stopping = false;
  #allGone: () => void = () => undefined;
  #announceReady: () => void = () => undefined;

  /** Resolves when the last agent has ended, where they are not started again. */
  readonly allGone = new Promise<void>((resolve) => (this.#allGone = resolve));
  /** Resolves when all agents have been ready at the same time. */
  readonly allReady = new Promise<void>((resolve) => (this.#announceReady = resolve));

  constructor(deps: ManagerDeps, manifest: Manifest, options: ManagerOptions) {
    this.#deps = deps;
    this.#options = { ...supervisionDefaults, ...options };
    this.#metrics = new ManagerMetrics(deps.registry);
    this.#manifest = manifest;
    this.#switch = new PacketSwitch(routesOf(manifest));
  }

  /** Starts all agents at once. A second call does nothing, nor one after {@link stop}. */
  start(): void {
    if (this.#started || this.#stopping) return;
    this.#started = true;
    for (const host of this.#manifest.hosts) this.#add(host);
  }

  /**
   * Goes over to another manifest. Agents for which nothing has changed go on, and so do their connections. Before {@link start}, which
   * then starts them, none is started.
   */
  reload(manifest: Manifest): Promise<ReloadSummary> {
    const change = this.#change.then(() => this.#apply(manifest));
    this.#change = change.catch(() => undefined);
    return change;
  }

  /** Ends all agents. Resolves when they have ended; never rejects. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all([...this.#agents.values()].map((agent) => agent.stop()));
    await this.#change;
    await Promise.all([...this.#agents.values()].map((agent) => agent.stop()));
  }

  /** What it is doing now. */
  status(): ManagerStatus {
    return {
      agents: [...this.#agents.values()].map((agent) => agent.status()),
      pairs: this.#switch.pairs.map(({ from, to, packets, bytes }) => ({
        from: this.#nameOf(from),
        to: this.#nameOf(to),
        packets,
        bytes,
      })),
      dropped: Object.fromEntries(this.#switch.drops),
      learnedRoutes: this.#switch.learnedCount,
      refusedRoutes: { ...this.#refusedRoutes },
    };
  }

  /** Hosts whose agents are not ready. */
  notReady(): readonly string[] {
    return [...this.#agents.values()]
      .filter(({ state }) => state.kind !== "ready")
      .map(({ plan }) => plan.name);
  }

  async #apply(manifest: Manifest): Promise<ReloadSummary> {
    if (!this.#started) return this.#replace(manifest);
    const wanted = new Map(manifest.hosts.map((host) => [host.name, host]));
    const changed = [...this.#agents.values()].filter(({ plan }) => {
      const host = wanted.get(plan.name);
      return host === undefined || !isDeepStrictEqual(plan, this.#planOf(host, manifest));
    });
    const kept = [...this.#agents.keys()].filter(
      (name) => !changed.some(({ plan }) => plan.name === name),
    );
    const left = this.#manifest.hosts.filter(
      (host) => !isSameSuggester(host, wanted.get(host.name)),
    );
    this.#manifest = manifest;
    this.#switch.replaceRoutes(routesOf(manifest));
    // Ports that an agent holds are free for the next only when it has ended.
    await Promise.all(changed.map((agent) => this.#remove(agent)));
    for (const { vip } of left) this.#switch.forget(numberOf(vip));
    const summary = {
      added: [...wanted.keys()].filter(
        (name) => !kept.includes(name) && !changed.some(({ plan }) => plan.name === name),
      ),
      removed: changed.map(({ plan }) => plan.name).filter((name) => !wanted.has(name)),
      restarted: changed.map(({ plan }) => plan.name).filter((name) => wanted.has(name)),
      kept,
    };
    if (!this.#stopping) {
      for (const host of manifest.hosts) if (!kept.includes(host.name)) this.#add(host);
    }
    return summary;
  }

  /** Nothing runs yet that would have to be told. */
  #replace(manifest: Manifest): ReloadSummary {
    const [before, after] = [this.#manifest, manifest].map(({ hosts }) =>
      hosts.map(({ name }) => name),
    ) as [string[], string[]];
    this.#manifest = manifest;
    this.#switch.replaceRoutes(routesOf(manifest));
    return {
      added: after.filter((name) => !before.includes(name)),
      removed: before.filter((name) => !after.includes(name)),
      restarted: [],
      kept: after.filter((name) => before.includes(name)),
    };
  }

  #add(host: ManifestHost): void {
    const { clock, random } = this.#deps;
    const { name, vip } = host;
    const from = numberOf(vip);
    const ownLog = this.#deps.log.child({ host: name, vip });
    // Each has a measure of its own: one that fills the log hides none of the others.
    const log = rateLimited(ownLog, clock, warningRate);
    const agent = new AgentSupervisor(
      {
        clock,
        random,
        log,
        lines: new AgentLines(ownLog, clock),
        onPacket: (packet, reserved) => this.#forward(from, packet, reserved, log),
        onSuggestion: (suggestion) => this.#learn(host, suggestion, log),
        onState: (state) => this.#noteState(from, state),
      },
      this.#planOf(host, this.#manifest),
      this.#options,
    );
    this.#agents.set(name, agent);
    this.#names.set(from, name);
    this.#switch.attach(from, agent);
    agent.start();
  }

  async #remove(agent: AgentSupervisor): Promise<void> {
    const { name, args } = agent.plan;
    this.#agents.delete(name);
    this.#switch.detach(numberOf(args.me));
    await agent.stop();
  }

  #planOf(host: ManifestHost, manifest: Manifest): AgentPlan {
    const { self } = this.#options;
    return {
      name: host.name,
      argv: [...(host.command ?? self), "agent", "--automated"],
      args: configureArgsOf(host, manifest),
    };
  }

  #forward(from: number, packet: Uint8Array, reserved: number, log: Log): void {
    const reason = this.#switch.forward(from, packet, reserved);
    if (reason === undefined) {
      this.#metrics.forwarded(packet.length);
      return;
    }
    this.#metrics.dropped(reason);
    const addresses =
      reason === "malformed"
        ? { bytes: packet.length }
        : {
            source: formatIpv4(addressAt(packet, sourceOffset)),
            destination: formatIpv4(addressAt(packet, destinationOffset)),
          };
    log.warn("norouter.packet.dropped", { reason, ...addresses });
  }

  #learn(host: ManifestHost, { ip, route }: RouteSuggestion, log: Log): void {
    const via = parseIpv4(route);
    for (const text of ip) {
      const address = parseIpv4(text);
      // Old agents and names with IPv6 addresses are no reason to speak up.
      if (address === undefined) continue;
      const refusal = this.#learnOne(host, address, via);
      const fields = { address: text, via: route };
      if (refusal === undefined) {
        log.debug("norouter.route.learned", fields);
        continue;
      }
      this.#refusedRoutes[refusal] += 1;
      log.warn("norouter.route.refused", { ...fields, reason: refusal });
    }
  }

  #learnOne(
    host: ManifestHost,
    address: number,
    via: number | undefined,
  ): RouteRefusal | undefined {
    if (via === undefined) return "unknown_via";
    if (!maySuggest(host, via)) return "no_proxy";
    return this.#switch.learn(numberOf(host.vip), address, via);
  }

  #noteState(vip: number, { kind }: AgentState): void {
    const states = [...this.#agents.values()].map(({ state }) => state.kind);
    this.#metrics.ready(states.filter((state) => state === "ready").length);
    if (this.#stopping) return;
    if (kind === "gone") this.#switch.forget(vip);
    if (kind === "waiting" || kind === "gone") this.#metrics.lost();
    if (states.length < this.#manifest.hosts.length) return;
    if (states.every((state) => state === "gone")) this.#allGone();
    if (states.every((state) => state === "ready")) this.#announceReady();
  }

  #nameOf(vip: number): string {
    return this.#names.get(vip) ?? formatIpv4(vip);
  }
}

function routesOf({ hosts, routes }: Manifest): RouterOptions {
  return { hosts: hosts.map(({ vip }) => vip), routes };
}

/** Names are looked up by the proxies of a host; the host behind which they lie may tell of them itself. */
function maySuggest({ vip, http, socks }: ManifestHost, via: number): boolean {
  return http.listen !== "" || socks.listen !== "" || numberOf(vip) === via;
}

/** Whether a host of another manifest is the same, and may say of routes what it said. */
function isSameSuggester(host: ManifestHost, next: ManifestHost | undefined): boolean {
  if (next?.vip !== host.vip) return false;
  const hadProxy = host.http.listen !== "" || host.socks.listen !== "";
  return !hadProxy || next.http.listen !== "" || next.socks.listen !== "";
}

function numberOf(vip: string): number {
  return parseIpv4(vip) ?? 0;
}

const warningRate = { burst: 20, interval: millis(10_000) };

const supervisionDefaults: SupervisionOptions = {
  restart: true,
  egress: egressDefaults,
  // As long as an ssh on a slow line needs to pass the end of its input on and to return.
  grace: millis(2_000),
  patience: millis(20_000),
  // A container may be made first, an image fetched.
  startLimit: millis(300_000),
  // Longer than a line that is cut for a moment, and than what a busy machine makes an agent wait.
  silenceLimit: millis(60_000),
  terminal: false,
};
