import type { Child } from "../../support/child.ts";
import type { Crew } from "../crew.ts";
import type { Aim } from "../measures.ts";
import type { Place } from "../place.ts";

/** A TCP address to connect to. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** The two things that every contender forwards: an echo server and an iperf3 server. */
export type Lane = "echo" | "bulk";

/** One value for each lane. */
export type PerLane<T> = Readonly<Record<Lane, T>>;

/** The lanes, in the order in which ports are given out. */
export const lanes: readonly Lane[] = ["echo", "bulk"];

/** What a peer needs to start its processes. */
export interface StartContext {
  /** An empty folder of its own, removed at the end. */
  readonly folder: string;
  readonly place: Place;
  readonly crew: Crew;
  /** The port of 127.0.0.1 on the edge where each lane's TCP server listens. */
  readonly targets: PerLane<number>;
  /** The port of 127.0.0.1 on the edge where TCP clients are to be taken. */
  readonly entrances: PerLane<number>;
  /** A port for the relay, UDP and TCP; those ten and eleven above it are free too. */
  readonly relayPort: number;
  /** Two more ports free at the relay. */
  readonly relayLanes: PerLane<number>;
  /** The path of a program named in {@link Peer.programs}. */
  readonly program: (name: string) => string;
  /** Resolves once something takes TCP connections there, as seen from the edge. */
  readonly listening: (address: Address) => Promise<void>;
}

/** The processes of a running contender. */
export interface Running {
  /** By the part they play: `relay`, `server`, `client`. */
  readonly processes: () => Readonly<Record<string, Child>>;
  /** Where TCP clients connect. */
  readonly entrances: PerLane<Address>;
  /** Ends the relay with the signal; absent where the others do not come back by themselves. */
  readonly endRelay?: (signal: NodeJS.Signals) => Promise<void>;
  /** Starts the relay again after {@link endRelay}; does not wait for it. */
  readonly startRelay?: () => void;
}

/** A program (or several) that forwards TCP connections through a relay. */
export interface Peer {
  /** For tables and `--only`: lower case. */
  readonly name: string;
  /** What is compared, for the legend. */
  readonly title: string;
  /** Programs it needs, looked for on PATH unless `--peer NAME=PATH` says where. */
  readonly programs: readonly string[];
  /** Most connections that it is asked to hold open by the load that tries rising numbers; any number unless given. */
  readonly mostOpen?: number;
  /** Ours alone: the aim of its bulk transfers, where it is not that of the table. */
  readonly bulkAim?: Aim;
  /** Writes its configuration and starts its processes; need not wait until they are ready. */
  start(context: StartContext): Promise<Running>;
}

/** The addresses of the entrances on the edge's own 127.0.0.1. */
export function localEntrances(context: StartContext): PerLane<Address> {
  return {
    echo: { host: "127.0.0.1", port: context.entrances.echo },
    bulk: { host: "127.0.0.1", port: context.entrances.bulk },
  };
}

/** What a peer whose three processes start alike and come back by themselves gives. */
export function threeProcesses(
  context: StartContext,
  start: { relay: () => Child; server: () => Child; client?: () => Child },
  entrances: PerLane<Address> = localEntrances(context),
): Running {
  let relay = start.relay();
  const others = {
    server: start.server(),
    ...(start.client === undefined ? {} : { client: start.client() }),
  };
  return {
    entrances,
    processes: () => ({ relay, ...others }),
    endRelay: (signal) => context.crew.end(relay, signal),
    startRelay: () => {
      relay = start.relay();
    },
  };
}
