import { createInterface } from "node:readline";
import { Child, type ChildOptions, type Exit } from "./child.ts";
import { culvertPath } from "./culvert.ts";
import { waitUntil, within } from "./wait.ts";

/** The three daemons. */
export type Role = "relay" | "server" | "client";

/** One line of a daemon's log. */
export interface LogEvent {
  readonly event: string;
  readonly level: number;
  readonly [field: string]: unknown;
}

/** How to start a daemon. */
export interface DaemonOptions extends ChildOptions {
  /** Programs and arguments in front of `node`, such as `ip netns exec NAME`. */
  readonly prefix?: readonly string[];
  /** More flags after `--config FILE`. */
  readonly flags?: readonly string[];
  /** How long to wait for the ready line, milliseconds. Default 10,000. */
  readonly readyWithinMs?: number;
}

/** A running `culvert relay`, `server` or `client`, with everything it said. */
export class Daemon {
  readonly role: Role;
  readonly child: Child;
  /** Every line of standard output, the ready line first. */
  readonly lines: string[] = [];
  /** The JSON lines of standard error. */
  readonly events: LogEvent[] = [];
  /** What standard error held besides JSON: should stay empty. */
  readonly strayLines: string[] = [];

  constructor(role: Role, configFile: string, options: DaemonOptions = {}) {
    this.role = role;
    const command = [
      ...(options.prefix ?? []),
      process.execPath,
      culvertPath,
      role,
      "--config",
      configFile,
      ...(options.flags ?? []),
    ];
    this.child = new Child(command[0] ?? "", command.slice(1), options);
    createInterface(this.child.stdout).on("line", (line) => this.lines.push(line));
    createInterface(this.child.stderr).on("line", (line) => this.#keepLog(line));
  }

  get pid(): number {
    return this.child.pid;
  }

  /** The first line of standard output; throws with the log when the daemon ends first or says nothing in time. */
  async ready(ms = 10_000): Promise<string> {
    try {
      return await waitUntil(
        `ready line of ${this.role}`,
        () => {
          if (this.lines[0] !== undefined) return this.lines[0];
          if (!this.child.running) throw new Error(`${this.role} ended`);
          return undefined;
        },
        { withinMs: ms, everyMs: 5 },
      );
    } catch (error) {
      const log = this.log();
      await this.child.end();
      throw new Error(`${this.role} did not become ready\n${log}`, { cause: error });
    }
  }

  /** The events of this name so far, oldest first. */
  named(event: string): readonly LogEvent[] {
    return this.events.filter((each) => each.event === event);
  }

  /** SIGTERM, and the daemon's own drain. */
  stop(ms = 20_000): Promise<Exit> {
    return this.child.end("SIGTERM", ms);
  }

  /** SIGKILL: the daemon cannot say good-bye. */
  kill(): Promise<Exit> {
    return this.child.end("SIGKILL");
  }

  /** SIGSTOP: the process keeps its sockets and does nothing. */
  freeze(): void {
    this.child.signal("SIGSTOP");
  }

  /** Undoes {@link freeze}. */
  resume(): void {
    this.child.signal("SIGCONT");
  }

  /** The end of the process, awaited for at most `ms` milliseconds. */
  exit(ms: number): Promise<Exit> {
    return within(ms, `end of ${this.role}`, this.child.exited);
  }

  /** Everything it said, for a failed test. */
  log(): string {
    return [
      `--- ${this.role} (pid ${this.child.pid}, ${this.child.running ? "running" : "ended"})`,
      ...this.lines.map((line) => `out: ${line}`),
      ...this.events.slice(-60).map((event) => `log: ${JSON.stringify(event)}`),
      ...this.strayLines.slice(-60).map((line) => `err: ${line}`),
    ].join("\n");
  }

  #keepLog(line: string): void {
    const event = parseEvent(line);
    if (event === undefined) this.strayLines.push(line);
    else this.events.push(event);
  }
}

/** Starts a daemon and waits for its ready line. */
export async function startDaemon(
  role: Role,
  configFile: string,
  options: DaemonOptions = {},
): Promise<Daemon> {
  const daemon = new Daemon(role, configFile, options);
  await daemon.ready(options.readyWithinMs);
  return daemon;
}

function parseEvent(line: string): LogEvent | undefined {
  try {
    const parsed: unknown = JSON.parse(line);
    if (typeof parsed !== "object" || parsed === null || !("event" in parsed)) return undefined;
    return parsed as LogEvent;
  } catch {
    return undefined;
  }
}
