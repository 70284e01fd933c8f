import type { Contender, Surroundings } from "../contender.ts";

/** What one round gave: values by measure id. */
export type Sample = Readonly<Record<string, number>>;

/** A load that failed on its way, with what it had measured by then. */
export class PartialFailure extends Error {
  readonly sample: Sample;

  constructor(sample: Sample, cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.sample = sample;
  }
}

/** How long and how large the loads are. */
export interface Sizes {
  readonly rounds: number;
  /** Rounds of loads that take long and hardly differ from round to round. */
  readonly longRounds: number;
  /** Seconds of one iperf3 run; whole. */
  readonly bulkSeconds: number;
  readonly echoSeconds: number;
  readonly connectSeconds: number;
  readonly idleConnections: number;
  /** Seconds over which the relay's CPU time, which the kernel counts by 10 ms, is watched. */
  readonly idleSeconds: number;
  /** Numbers of open connections at which one more is tried, rising. */
  readonly openLevels: readonly number[];
  /** Connections tried at each of them. */
  readonly openSamples: number;
  /** Numbers of open connections, and of attached servers, at which the growth bench measures. */
  readonly growthConnections: readonly number[];
  readonly growthServers: readonly number[];
}

/** One load, given to each contender in turn. */
export interface Load {
  readonly name: string;
  /** Programs it needs besides the contender's. */
  readonly programs: readonly string[];
  /** Each round starts the contender anew, since memory is measured or much is left behind. */
  readonly fresh: boolean;
  /** Rounds, where fewer than {@link Sizes.rounds} will do. */
  rounds(sizes: Sizes): number;
  /** About how long one round of one contender takes on a quiet machine, seconds: what a long run announces. */
  typicalSeconds(sizes: Sizes): number;
  /** False where the contender cannot be measured by it. */
  fits(contender: Contender): boolean;
  /** Puts the load on a contender and measures. */
  measure(contender: Contender, surroundings: Surroundings, sizes: Sizes): Promise<Sample>;
}
