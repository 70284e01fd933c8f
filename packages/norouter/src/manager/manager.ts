import { isDeepStrictEqual } from "node:util";
import { millis, type Clock, type Random } from "@culvert/runtime";
import { rateLimited, type Log, type Registry } from "@culvert/telemetry";
import type { RouteSuggestion } from "@culvert/wire";
import { egressDefaults } from "../egress/frame-writer.ts";
import { configureArgsOf } from "../manifest/configure-args.ts";
import type { Manifest, ManifestHost } from "../manifest/manifest.ts";
import { formatIpv4, parseIpv4 } from "../router/ipv4.ts";
import { Router } from "../router/router.ts";
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
}

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
  readonly #log: Log;
  readonly #options: ManagerOptions & SupervisionOptions;
  readonly #metrics: ManagerMetrics;
  readonly #switch: PacketSwitch;
  readonly #agents = new Map<string, AgentSupervisor>();
  #manifest: Manifest;
  #names = new Map<number, string>();
  /** Changes run one after the other. */
  #change: Promise<unknown> = Promise.resolve();
  #stopping = false;
  #allGone: () => void = () => undefined;
  #announceReady: () => void = () => undefined;

  /** Resolves when the last agent has ended, where they are not started again. */
  readonly allGone = new Promise<void>((resolve) => (this.#allGone = resolve));
  /** Resolves when all agents have been ready at the same time. */
  readonly allReady = new Promise<void>((resolve) => (this.#announceReady = resolve));

  constructor(deps: ManagerDeps, manifest: Manifest, options: ManagerOptions) {
    this.#deps = deps;
    this.#log = rateLimited(deps.log, deps.clock, { burst: 20, interval: millis(10_000) });
    this.#options = { ...supervisionDefaults, ...options };
    this.#metrics = new ManagerMetrics(deps.registry);
    this.#manifest = manifest;
    this.#switch = new PacketSwitch(routerOf(manifest));
  }

  /** Starts all agents at once. */
  start(): void {
    for (const host of this.#manifest.hosts) this.#add(host);
  }

  /** Goes over to another manifest. Agents for which nothing has changed go on, and so do their connections. */
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
    };
  }

  /** Hosts whose agents are not ready. */
  notReady(): readonly string[] {
    return [...this.#agents.values()]
      .filter(({ state }) => state.kind !== "ready")
      .map(({ plan }) => plan.name);
  }

  async #apply(manifest: Manifest): Promise<ReloadSummary> {
    const wanted = new Map(manifest.hosts.map((host) => [host.name, host]));
    const changed = [...this.#agents.values()].filter(({ plan }) => {
      const host = wanted.get(plan.name);
      return host === undefined || !isDeepStrictEqual(plan, this.#planOf(host, manifest));
    });
    const kept = [...this.#agents.keys()].filter(
      (name) => !changed.some(({ plan }) => plan.name === name),
    );
    this.#manifest = manifest;
    this.#switch.replaceRouter(routerOf(manifest));
    // Ports that an agent holds are free for the next only when it has ended.
    await Promise.all(changed.map((agent) => this.#remove(agent)));
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

  #add(host: ManifestHost): void {
    const { clock, random } = this.#deps;
    const { name, vip } = host;
    const from = numberOf(vip);
    const log = this.#log.child({ host: name, vip });
    const agent = new AgentSupervisor(
      {
        clock,
        random,
        log,
        onPacket: (packet, reserved) => this.#forward(from, packet, reserved, log),
        onSuggestion: (suggestion) => this.#learn(suggestion, log),
        onState: (state) => this.#noteState(state),
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

  #learn({ ip, route }: RouteSuggestion, log: Log): void {
    const via = parseIpv4(route);
    for (const text of ip) {
      const address = parseIpv4(text);
      // Old agents and names with IPv6 addresses are no reason to speak up.
      if (address === undefined) continue;
      if (via !== undefined && this.#switch.learn(address, via)) {
        log.debug("norouter.route.learned", { address: text, via: route });
      } else log.warn("norouter.route.refused", { address: text, via: route });
    }
  }

  #noteState({ kind }: AgentState): void {
    const states = [...this.#agents.values()].map(({ state }) => state.kind);
    this.#metrics.ready(states.filter((state) => state === "ready").length);
    if (this.#stopping) return;
    if (kind === "waiting" || kind === "gone") this.#metrics.lost();
    if (states.length < this.#manifest.hosts.length) return;
    if (states.every((state) => state === "gone")) this.#allGone();
    if (states.every((state) => state === "ready")) this.#announceReady();
  }

  #nameOf(vip: number): string {
    return this.#names.get(vip) ?? formatIpv4(vip);
  }
}

function routerOf({ hosts, routes }: Manifest): Router {
  return new Router({ hosts: hosts.map(({ vip }) => vip), routes });
}

function numberOf(vip: string): number {
  return parseIpv4(vip) ?? 0;
}

const supervisionDefaults: SupervisionOptions = {
  restart: true,
  egress: egressDefaults,
  // As long as an ssh on a slow line needs to pass the end of its input on and to return.
  grace: millis(2_000),
  patience: millis(20_000),
  terminal: false,
};
