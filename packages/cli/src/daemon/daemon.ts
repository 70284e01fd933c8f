import type { Identity } from "@culvert/identity";
import type { Clock, Random } from "@culvert/runtime";
import type { Log, Registry } from "@culvert/telemetry";

/** What a daemon is built from, besides its configuration. */
export interface DaemonContext {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly registry: Registry;
  readonly identity: Identity;
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
