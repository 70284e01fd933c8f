import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../support/ports.ts";
import { findProgram } from "../support/requires.ts";
import { waitUntil } from "../support/wait.ts";
import { Crew, output } from "./crew.ts";
import type { Generator } from "./generator/generator.ts";
import type { Address, Peer, PerLane, Running } from "./peers/peer.ts";
import type { Place } from "./place.ts";
import { processUse, type Use } from "./process-use.ts";

/** What all contenders of a bench share. */
export interface Surroundings {
  readonly place: Place;
  readonly generator: Generator;
  readonly targets: PerLane<number>;
  /** Paths given by `--peer NAME=PATH`. */
  readonly programs: ReadonlyMap<string, string>;
}

/** One running set of processes: ours or a peer's. */
export class Contender {
  readonly peer: Peer;
  readonly #crew: Crew;
  readonly #folder: string;
  readonly #generator: Generator;
  readonly #running: Running;

  private constructor(
    peer: Peer,
    crew: Crew,
    folder: string,
    generator: Generator,
    running: Running,
  ) {
    this.peer = peer;
    this.#crew = crew;
    this.#folder = folder;
    this.#generator = generator;
    this.#running = running;
  }

  /** Starts a peer with ports and a folder of its own and waits, 20 seconds at most, until a byte comes back through it. */
  static async start(peer: Peer, surroundings: Surroundings): Promise<Contender> {
    const { place, generator, targets, programs } = surroundings;
    const parent = await mkdtemp(join(tmpdir(), "culvert-bench-"));
    const folder = join(parent, peer.name);
    await mkdir(folder);
    const crew = new Crew();
    try {
      const running = await peer.start({
        folder,
        place,
        crew,
        targets,
        entrances: { echo: await freePort(), bulk: await freePort() },
        relayPort: await freePort([10, 11]),
        relayLanes: { echo: await freePort(), bulk: await freePort() },
        program: (name) => programPath(name, programs) ?? name,
        listening: (address) => reachable(generator, address),
      });
      const contender = new Contender(peer, crew, parent, generator, running);
      await contender.#works(running.entrances.echo);
      return contender;
    } catch (error) {
      await crew.close();
      await rm(parent, { recursive: true, force: true });
      throw error;
    }
  }

  /** Where TCP clients connect. */
  get entrances(): PerLane<Address> {
    return this.#running.entrances;
  }

  /** Whether the others come back by themselves when the relay does. */
  get comesBack(): boolean {
    return this.#running.endRelay !== undefined;
  }

  /** What each of its processes, with its descendants, has used so far. */
  use(): Readonly<Record<string, Use>> {
    const processes = Object.entries(this.#running.processes());
    return Object.fromEntries(processes.map(([role, child]) => [role, processUse(child.pid)]));
  }

  /** What the relay has used so far. */
  relayUse(): Use {
    const relay = this.#running.processes()["relay"];
    if (relay === undefined) throw new Error(`${this.peer.name} has no relay`);
    return processUse(relay.pid);
  }

  /** Ends the relay with the signal, waits for its end and starts it again. */
  async restartRelay(signal: NodeJS.Signals): Promise<void> {
    await this.#running.endRelay?.(signal);
    this.#running.startRelay?.();
  }

  /** Ends its processes and removes its folder. SIGTERM lets profiles be written. */
  async close(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    await this.#crew.close(signal);
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #works(entrance: Address): Promise<void> {
    const probe = { ...entrance, withinMs: 1_000 };
    try {
      await waitUntil(
        `a byte through ${this.peer.name}`,
        async () => {
          await this.#generator.call("probe", probe);
          return true;
        },
        { withinMs: 20_000, everyMs: 50 },
      );
    } catch (error) {
      const said = Object.entries(this.#running.processes()).map(
        ([role, child]) => `--- ${role}\n${output(child)}`,
      );
      throw new Error(`${this.peer.name} does not forward\n${said.join("\n")}`, { cause: error });
    }
  }
}

/** The path of a program: as given, or from PATH. */
export function programPath(name: string, given: ReadonlyMap<string, string>): string | undefined {
  return given.get(name) ?? findProgram(name);
}

async function reachable(generator: Generator, address: Address): Promise<void> {
  await waitUntil(
    `a listener at ${address.host}:${address.port}`,
    async () => {
      await generator.call("connects", address);
      return true;
    },
    { withinMs: 10_000 },
  );
}
