import type { Readable, Writable } from "node:stream";
import type { Clock, Random } from "@culvert/runtime";
import type { Log } from "@culvert/telemetry";
import type { BastionOptions } from "./bastion.ts";
import type { DnsServer } from "./dns/ask-upstream.ts";
import type { Environment } from "./files/expand-path.ts";

/** What an agent knows of the machine it runs on. */
export interface AgentMachine {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** For paths (`$HOME`) and `HOSTALIASES`. */
  readonly environment: Environment;
  /** The system's hosts file. */
  readonly etcHosts: string;
  /** The servers the system would ask. Never rejects. */
  readonly dnsServers: () => Promise<readonly DnsServer[]>;
  /** All addresses the system has for a name; rejects where it has none. */
  readonly lookup: (name: string) => Promise<readonly string[]>;
}

/** How to run an agent. */
export interface AgentOptions {
  /** Frames of the manager. It is read without a pause, whatever becomes of `output`. */
  readonly input: Readable;
  /** Frames to the manager and nothing else. */
  readonly output: Writable;
  /** Default: routes only. */
  readonly bastion?: BastionOptions | undefined;
  /** Ends the agent, which takes its traces away; else only the end of `input` does. */
  readonly signal?: AbortSignal | undefined;
  /** Arguments of a configure, as JSON, that apply before anything is read and are not answered. */
  readonly initConfig?: string | undefined;
}
