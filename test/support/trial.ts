import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFailed, onTestFinished } from "vitest";
import { parse, stringify } from "yaml";
import type { ClientStatus } from "@culvert/client-proxy";
import type { EndServerStatus } from "@culvert/end-server-proxy";
import type { RelayStatus } from "@culvert/relay";
import { queryStatus } from "@culvert/telemetry";
import { culvert } from "./culvert.ts";
import { Daemon, type DaemonOptions, type Role } from "./daemon.ts";
import { liveHeapBytes } from "./live-heap.ts";
import { freePort } from "./ports.ts";
import { holdings, type Holdings } from "./probes.ts";
import { fetchMetrics, type MetricsPage } from "./prometheus.ts";
import { waitUntil } from "./wait.ts";

/** A configuration file as parsed, to be changed before a daemon starts. */
export type Config = Record<string, unknown>;

/** The status of each daemon. */
export interface Statuses {
  readonly relay: RelayStatus;
  readonly server: EndServerStatus;
  readonly client: ClientStatus;
}

/** What differs from the usual trial. */
export interface TrialOptions {
  /** What carries the sessions, the preferred one first. */
  readonly transports?: readonly ("quic" | "wss")[];
  /** Whether the relay starts the server by a link; the client dials by {@link transports}. */
  readonly link?: boolean;
}

/** What `culvert init` writes. */
export const bothTransports: TrialOptions = { transports: ["quic", "wss"] };

/** In the order in which they usually start. */
export const roles: readonly Role[] = ["relay", "server", "client"];

/** What the daemons of a trial held at one quiet moment; a daemon started anew must come to hold the same. */
export type Baseline = ReadonlyMap<Role, Holdings>;

/**
 * One relay, one server and one client in a temporary folder made by `culvert init`, with ports of their own. Whoever creates one
 * closes it; {@link useTrial} does that at the end of a test.
 */
export class Trial {
  readonly folder: string;
  readonly relayPort: number;
  readonly listenPort: number;
  readonly targetPort: number;
  readonly #daemons = new Map<Role, Daemon>();
  /** Those that were replaced by a newer one, for their logs. */
  readonly #former: Daemon[] = [];

  private constructor(
    folder: string,
    ports: { readonly relay: number; readonly listen: number; readonly target: number },
  ) {
    this.folder = folder;
    this.relayPort = ports.relay;
    this.listenPort = ports.listen;
    this.targetPort = ports.target;
  }

  /**
   * Runs `culvert init`; starts nothing. Sessions go by QUIC alone unless `transports` names others: a machine that is busy may
   * be late with QUIC, and then sessions begin by WebSocket and move.
   */
  static async create({ transports = ["quic"], link = false }: TrialOptions = {}): Promise<Trial> {
    const ports = {
      relay: await freePort([10, 11]),
      listen: await freePort(),
      target: await freePort(),
    };
    const parent = await mkdtemp(join(tmpdir(), "culvert-"));
    const folder = join(parent, "trial");
    const made = await culvert([
      "init",
      folder,
      "--relay-port",
      String(ports.relay),
      "--listen-port",
      String(ports.listen),
      "--target-port",
      String(ports.target),
      ...(link ? ["--transport", "norouter"] : []),
    ]);
    if (made.code !== 0) throw new Error(`culvert init: ${made.stdout}${made.stderr}`);
    const trial = new Trial(folder, ports);
    for (const role of link ? (["client"] as const) : (["server", "client"] as const)) {
      await trial.edit(role, (config) => {
        config["transports"] = transports;
      });
    }
    return trial;
  }

  /** The relay's admin port. */
  get adminPort(): number {
    return this.relayPort + 10;
  }

  /** The relay's port for sessions by WebSocket. */
  get webPort(): number {
    return this.relayPort + 11;
  }

  /** A file of the trial's folder. */
  path(name: string): string {
    return join(this.folder, name);
  }

  /** The configuration file of a daemon. */
  configFile(role: Role): string {
    return this.path(`${role}.yaml`);
  }

  /** Changes a configuration file; the daemon reads it at its next start. */
  async edit(role: Role, change: (config: Config) => void): Promise<void> {
    const file = this.configFile(role);
    const config = parse(await readFile(file, "utf8")) as Config;
    change(config);
    await writeFile(file, stringify(config));
  }

  /** Starts the given daemons, all three unless told otherwise: the relay first, then the others side by side, awaited until ready. */
  async start(which: readonly Role[] = roles, options: DaemonOptions = {}): Promise<void> {
    if (which.includes("relay")) await this.startOne("relay", options);
    const others = which.filter((role) => role !== "relay");
    await Promise.all(others.map((role) => this.startOne(role, options)));
  }

  /** Starts one daemon and waits for its ready line. */
  async startOne(role: Role, options: DaemonOptions = {}): Promise<Daemon> {
    const daemon = this.launch(role, options);
    await daemon.ready(options.readyWithinMs);
    return daemon;
  }

  /** Starts one daemon and does not wait. */
  launch(role: Role, options: DaemonOptions = {}): Daemon {
    const former = this.#daemons.get(role);
    if (former !== undefined) this.#former.push(former);
    const daemon = new Daemon(role, this.configFile(role), { cwd: this.folder, ...options });
    this.#daemons.set(role, daemon);
    return daemon;
  }

  /** SIGTERM, wait for the end, start again. */
  async restart(role: Role): Promise<Daemon> {
    await this.daemon(role).stop();
    return this.startOne(role);
  }

  /** The running (or last) daemon of a role. */
  daemon(role: Role): Daemon {
    const daemon = this.#daemons.get(role);
    if (daemon === undefined) throw new Error(`${role} was not started`);
    return daemon;
  }

  /** Asks a daemon's status socket, as `culvert status` does. */
  async status<R extends Role>(role: R): Promise<Statuses[R]> {
    return (await queryStatus(this.path(`${role}.sock`))) as Statuses[R];
  }

  /** The relay's metrics. */
  metrics(): Promise<MetricsPage> {
    return fetchMetrics(this.adminPort);
  }

  /** Waits until server and client are attached to the relay as the relay sees it. */
  async attached(ms = 10_000): Promise<void> {
    await waitUntil(
      "server and client attached",
      async () => (await this.status("relay")).peers.every((peer) => peer.sessions.length > 0),
      { withinMs: ms },
    );
  }

  /** What each living daemon holds once nothing is under way and the number of its sockets stays the same for 200 ms. */
  async baseline(): Promise<Baseline> {
    await this.quiet();
    let last = "";
    let same = 0;
    return waitUntil("a steady number of sockets", () => {
      const now = new Map(
        [...this.#daemons]
          .filter(([, daemon]) => daemon.child.running)
          .map(([role, daemon]) => [role, holdings(daemon.pid)] as const),
      );
      const counts = JSON.stringify([...now.values()].map(({ sockets }) => sockets));
      same = counts === last ? same + 1 : 0;
      last = counts;
      return same >= 10 && now;
    });
  }

  /** Waits until no daemon has a forwarded connection, and each session has as many streams open as it needs itself: none. */
  async quiet(ms = 5_000): Promise<void> {
    await waitUntil(
      "no forwarded connection and no stream left",
      async () => {
        for (const [role, daemon] of this.#daemons) {
          if (!daemon.child.running) continue;
          const status = await this.status(role);
          const streams = openStreams(status);
          if (status.connections.length === 0 && streams === 0) continue;
          throw new Error(`${role}: ${status.connections.length} connections, ${streams} streams`);
        }
        return true;
      },
      { withinMs: ms, everyMs: 50 },
    );
  }

  /**
   * Waits until everything is as it was: no connections, no streams, the same number of open sockets, and resident memory at most
   * `memoryBytes` (default 48 MiB, what V8 keeps for later) above.
   */
  async backTo(baseline: Baseline, memoryBytes = 48 * 1024 * 1024, ms = 5_000): Promise<void> {
    await this.quiet(ms);
    for (const [role, before] of baseline) {
      const daemon = this.daemon(role);
      if (!daemon.child.running) continue;
      await waitUntil(
        `${daemon.role} holds what it held`,
        () => {
          const now = holdings(daemon.pid);
          const grown = now.rssBytes - before.rssBytes;
          if (now.sockets === before.sockets && grown <= memoryBytes) return true;
          throw new Error(
            `${daemon.role}: ${now.sockets} sockets (were ${before.sockets}): ${JSON.stringify(now.descriptors)}, ${mib(grown)} MiB more memory (allowed ${mib(memoryBytes)})`,
          );
        },
        { withinMs: ms, everyMs: 50 },
      );
    }
  }

  /** What each daemon's heap holds after a full collection; the daemons were started `measurable`. */
  async liveHeaps(): Promise<ReadonlyMap<Role, number>> {
    const heaps = new Map<Role, number>();
    for (const [role, daemon] of this.#daemons) {
      heaps.set(role, await liveHeapBytes(daemon, this.folder));
    }
    return heaps;
  }

  /** Everything all daemons said. */
  log(): string {
    return [...this.#former, ...this.#daemons.values()].map((daemon) => daemon.log()).join("\n");
  }

  /** Ends every daemon at once and removes the folder. */
  async close(): Promise<void> {
    const all = [...this.#former, ...this.#daemons.values()];
    await Promise.all(all.map((daemon) => daemon.kill()));
    await rm(join(this.folder, ".."), { recursive: true, force: true });
  }
}

/** A trial that lives as long as the test that asks for it; what the daemons said is printed if the test fails. */
export async function useTrial(options: TrialOptions = {}): Promise<Trial> {
  const trial = await Trial.create(options);
  onTestFinished(() => trial.close());
  onTestFailed(() => {
    console.error(trial.log());
  });
  return trial;
}

/** A trial with all three daemons running and attached. */
export async function useRunningTrial(options: DaemonOptions = {}): Promise<Trial> {
  const trial = await useTrial();
  await trial.start(roles, options);
  await trial.attached();
  return trial;
}

function openStreams(status: Statuses[Role]): number {
  if (status.role !== "relay") return status.link.session?.openStreams ?? 0;
  return status.peers
    .flatMap((peer) => peer.sessions)
    .reduce((sum, session) => sum + session.openStreams, 0);
}

function mib(bytes: number): number {
  return Math.round(bytes / 1024 / 1024);
}
