import type { Identity } from "@culvert/identity";
import type { Clock, Random } from "@culvert/runtime";
import type { Log, Registry } from "@culvert/telemetry";
import type { Session } from "@culvert/transport";

/** What a daemon is built from, besides its configuration. */
export interface DaemonContext {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly registry: Registry;
  readonly identity: Identity;
  /** The session that was begun over our standard input and output, where there is one: it takes the place of every transport. */
  readonly givenSession?: GivenSession | undefined;
}

/** A session to the relay that somebody else has begun. */
export interface GivenSession {
  /** What it comes over, for logs: `standard input`. */
  readonly from: string;
  /** Gives it, once. */
  readonly dial: (signal: AbortSignal) => Promise<Session>;
  /** Resolves when there will be no session any more. */
  readonly over: Promise<void>;
}

/** One of the three daemons, as its process sees it. */
export interface Daemon {
  /**
   * Binds what it listens at and begins to work.
   * @throws TransportError or ConfigError where it cannot.
   */
  start(): Promise<void>;
  /** Resolves, once it is able to serve for the first time, with what the ready line says: `relay udp 127.0.0.1:30380`. */
  readonly ready: Promise<string>;
  /** Why it cannot serve now; empty where it can. */
  notReady(): readonly string[];
  /** What it is doing now, as plain JSON. */
  status(): object;
  /** Accepts nothing new; resolves when what is open has ended, or the drain time is over. */
  drain(): Promise<void>;
  /** Ends everything. */
  close(): Promise<void>;
}
