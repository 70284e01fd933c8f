import type { LookupAddress } from "node:dns";
import { isIP } from "node:net";
import {
  errorText,
  millis,
  sleep,
  TransportError,
  type Clock,
  type Millis,
} from "@culvert/runtime";
import type { HostPort } from "./host-port.ts";

/** Looks a host name up in the system's resolver; all addresses, in its order. */
export type LookUp = (host: string) => Promise<readonly LookupAddress[]>;

/** What a race of dials needs. */
export interface RaceOptions<T, A = HostPort> {
  readonly clock: Clock;
  /** Head start of each address over the next one (RFC 8305 §5: 250 ms). */
  readonly stagger: Millis;
  readonly signal: AbortSignal;
  readonly dial: (address: A, signal: AbortSignal) => Promise<T>;
  /** Releases a connection that won too late. */
  readonly discard: (late: T) => void;
  /** Tells of all failures at once, in the order of the addresses; the last of them speaks for all where this is absent. */
  readonly combine?: (failures: readonly unknown[]) => Error;
}

/**
 * Resolves a host name afresh and orders its addresses for dialling: families alternate, beginning with the resolver's first
 * (RFC 8305 §4). An IP literal is its own address.
 * @throws TransportError `name_not_found`.
 */
export async function resolveAddresses(lookUp: LookUp, target: HostPort): Promise<HostPort[]> {
  if (isIP(target.host) !== 0) return [target];
  let found: readonly LookupAddress[];
  try {
    found = await lookUp(target.host);
  } catch (error) {
    throw new TransportError(
      "name_not_found",
      `cannot resolve ${target.host}: ${errorText(error)}`,
      {
        data: { host: target.host },
        cause: error,
      },
    );
  }
  const firstFamily = found[0]?.family;
  const first = found.filter(({ family }) => family === firstFamily);
  const second = found.filter(({ family }) => family !== firstFamily);
  const ordered: HostPort[] = [];
  for (let i = 0; i < Math.max(first.length, second.length); i += 1) {
    for (const address of [first[i], second[i]]) {
      if (address !== undefined) ordered.push({ host: address.address, port: target.port });
    }
  }
  return ordered.slice(0, maxAddresses);
}

/**
 * Dials addresses, or other ways to one peer, side by side: each a little after the one before or at once when that one has failed
 * (RFC 8305 §5). The first connection wins; the others are aborted.
 * @throws the error of the last address where all fail, or what `combine` makes of them.
 */
export async function dialRace<T, A = HostPort>(
  addresses: readonly A[],
  options: RaceOptions<T, A>,
): Promise<T> {
  const { clock, stagger, signal, dial, discard, combine } = options;
  const race = new AbortController();
  const raceSignal = AbortSignal.any([signal, race.signal]);
  let startNext = (): void => undefined;
  const attempt = async (address: A): Promise<T> => {
    try {
      const connection = await dial(address, raceSignal);
      if (race.signal.aborted) {
        discard(connection);
        throw new TransportError("aborted", "another address was faster");
      }
      race.abort(new TransportError("aborted", "another address was faster"));
      return connection;
    } catch (error) {
      startNext();
      throw error;
    }
  };
  const attempts: Promise<T>[] = [];
  for (const address of addresses) {
    if (raceSignal.aborted) break;
    const failed = new Promise<void>((resolve) => (startNext = resolve));
    const running = attempt(address);
    running.catch(() => undefined);
    attempts.push(running);
    if (address === addresses.at(-1)) break;
    const waited = new AbortController();
    await Promise.race([
      failed,
      running.then(() => undefined),
      headStart(clock, stagger, AbortSignal.any([raceSignal, waited.signal])),
    ]).catch(() => undefined);
    waited.abort();
  }
  try {
    return await Promise.any(attempts);
  } catch (error) {
    if (!(error instanceof AggregateError)) throw error;
    if (signal.aborted) {
      throw new TransportError("aborted", "dial aborted", { cause: signal.reason });
    }
    throw (combine ?? lastOf)(error.errors);
  }
}

/**
 * Waits in small steps, so that time in which this process could not run, such as while the code of an engine is loaded, is not
 * taken for silence of the peer: it counts for one step at most.
 */
async function headStart(clock: Clock, length: Millis, signal: AbortSignal): Promise<void> {
  const step = millis(length / headStartSteps);
  for (let taken = 0; taken < headStartSteps; taken += 1) await sleep(clock, step, signal);
}

function lastOf(failures: readonly unknown[]): Error {
  const last = failures.at(-1);
  return last instanceof Error ? last : new TransportError("dial_failed", "no address to dial");
}

/** A name with more addresses than this is not tried to its end. */
const maxAddresses = 8;
const headStartSteps = 10;
