import { freePort } from "../support/ports.ts";
import { findProgram } from "../support/requires.ts";
import { Contender, programPath, type Surroundings } from "./contender.ts";
import { Crew } from "./crew.ts";
import { Generator, startTarget } from "./generator/generator.ts";
import { PartialFailure, type Load, type Sizes } from "./loads/load.ts";
import type { Peer } from "./peers/peer.ts";
import type { Place } from "./place.ts";
import { describeMachine, Recorder, type Results } from "./results.ts";

/** What a bench runs. */
export interface BenchPlan {
  readonly place: Place;
  /** Ours first, then what it is measured beside. */
  readonly peers: readonly Peer[];
  readonly loads: readonly Load[];
  readonly sizes: Sizes;
  /** Rounds of a contender in a load, where fewer than the load's own will do. */
  readonly roundsOf?: (peer: Peer, load: Load) => number;
  /** Paths given for programs. */
  readonly programs: ReadonlyMap<string, string>;
  /** How contenders are ended; SIGTERM lets profiles be written. */
  readonly endSignal: NodeJS.Signals;
  /** What is under way, for people. */
  readonly progress: (line: string) => void;
  readonly options: Readonly<Record<string, unknown>>;
}

/** Runs every load over every contender in turn, round after round, each round with new processes. A contender that fails a round is noted, and the rest goes on. */
export async function runBench(plan: BenchPlan): Promise<Results> {
  const results = {
    startedAt: new Date().toISOString(),
    machine: describeMachine(),
    path: plan.place.description,
    rounds: plan.sizes.rounds,
    options: plan.options,
  };
  const leftOut: string[] = [];
  const peers = usablePeers(plan, leftOut);
  const recorder = new Recorder();
  const stage = new Stage(plan);
  try {
    const surroundings = await stage.open();
    const installed = plan.loads.filter((load) => {
      const absent = load.programs.filter((name) => findProgram(name) === undefined);
      if (absent.length > 0) leftOut.push(`${load.name}: not installed here: ${absent.join(", ")}`);
      return absent.length === 0;
    });
    const run = { plan, stage, surroundings, recorder, hopeless: new Map<string, number>() };
    for (let round = 0; round < plan.sizes.rounds; round += 1) {
      // Two starts of the same program may differ by more than two runs over one start, so each round has new processes.
      await stage.discardAll();
      for (const load of installed) {
        if (round < load.rounds(plan.sizes)) await runLoad(load, round, peers, run);
      }
    }
  } finally {
    await stage.close();
  }
  return {
    ...results,
    contenders: peers.map(({ name, title, mostOpen, bulkAim }) => ({
      name,
      title,
      ...(mostOpen === undefined ? {} : { mostOpen }),
      ...(bulkAim === undefined ? {} : { bulkAim }),
    })),
    values: recorder.values,
    failures: recorder.failures,
    leftOut,
  };
}

/** The processes that last as long as a bench: load generator, targets, and contenders that are not started anew each time. */
export class Stage {
  readonly #plan: Pick<BenchPlan, "place" | "programs" | "endSignal">;
  readonly #crew = new Crew();
  readonly #contenders = new Map<string, Contender>();
  #surroundings: Surroundings | undefined;

  constructor(plan: Pick<BenchPlan, "place" | "programs" | "endSignal">) {
    this.#plan = plan;
  }

  /** Starts generator and targets. */
  async open(): Promise<Surroundings> {
    const { place, programs } = this.#plan;
    const targets = { echo: await freePort(), bulk: await freePort() };
    startTarget(this.#crew, place.edgePrefix, targets.echo);
    if (findProgram("iperf3") !== undefined) {
      const address = ["-B", "127.0.0.1", "-p", String(targets.bulk)];
      this.#crew.start(place.edgePrefix, "iperf3", ["-s", ...address]);
    }
    const generator = new Generator(this.#crew, place.edgePrefix);
    return (this.#surroundings = { place, generator, targets, programs });
  }

  /** The standing contender of a peer for this round, started on first use. */
  async standing(peer: Peer): Promise<Contender> {
    const known = this.#contenders.get(peer.name);
    if (known !== undefined) return known;
    const contender = await this.fresh(peer);
    this.#contenders.set(peer.name, contender);
    return contender;
  }

  /** A contender of the caller's own, to be closed by it. */
  fresh(peer: Peer): Promise<Contender> {
    if (this.#surroundings === undefined) throw new Error("the stage is not open");
    return Contender.start(peer, this.#surroundings);
  }

  /** Gives all standing contenders up, so that what comes next has new ones. */
  async discardAll(): Promise<void> {
    const all = [...this.#contenders.values()];
    this.#contenders.clear();
    await Promise.all(all.map((each) => each.close(this.#plan.endSignal)));
  }

  /** Gives one up after it failed. */
  async discard(peer: Peer): Promise<void> {
    const contender = this.#contenders.get(peer.name);
    this.#contenders.delete(peer.name);
    await contender?.close();
  }

  /** Ends everything. */
  async close(): Promise<void> {
    await this.discardAll();
    await this.#crew.close();
  }
}

interface Run {
  readonly plan: BenchPlan;
  readonly stage: Stage;
  readonly surroundings: Surroundings;
  readonly recorder: Recorder;
  /** Failures by load and contender: what cannot be measured at all costs time only twice. */
  readonly hopeless: Map<string, number>;
}

async function runLoad(load: Load, round: number, peers: readonly Peer[], run: Run): Promise<void> {
  for (const peer of peers) {
    if (round >= (run.plan.roundsOf?.(peer, load) ?? Infinity)) continue;
    const key = `${load.name} ${peer.name}`;
    const failed = run.hopeless.get(key) ?? 0;
    if (failed >= 2) continue;
    run.plan.progress(`round ${round + 1}, ${load.name}: ${peer.name}`);
    try {
      await runRound(load, peer, round, run);
    } catch (error) {
      if (error instanceof PartialFailure) run.recorder.keep(peer.name, round, error.sample);
      run.hopeless.set(key, failed + 1);
      run.recorder.failures.push({
        load: load.name,
        contender: peer.name,
        round,
        error: describe(error),
      });
      await run.stage.discard(peer);
    }
  }
}

async function runRound(load: Load, peer: Peer, round: number, run: Run): Promise<void> {
  const { stage, surroundings, plan, recorder } = run;
  const contender = load.fresh ? await stage.fresh(peer) : await stage.standing(peer);
  try {
    if (!load.fits(contender)) return;
    recorder.keep(peer.name, round, await load.measure(contender, surroundings, plan.sizes));
  } finally {
    if (load.fresh) await contender.close(plan.endSignal);
  }
}

/** The contenders whose programs are there; says in `leftOut` which are not. */
export function usablePeers(
  plan: Pick<BenchPlan, "peers" | "programs">,
  leftOut: string[],
): readonly Peer[] {
  return plan.peers.filter((peer) => {
    const absent = peer.programs.filter((name) => programPath(name, plan.programs) === undefined);
    if (absent.length > 0) leftOut.push(`${peer.name}: not installed here: ${absent.join(", ")}`);
    return absent.length === 0;
  });
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message} (${error.cause.message})` : error.message;
}
