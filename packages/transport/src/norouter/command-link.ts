import {
  CommandProcess,
  errorText,
  millis,
  RetrySchedule,
  sleep,
  TransportError,
  type Clock,
  type CloseReason,
  type CommandEnd,
  type Millis,
  type Random,
  type RetryOptions,
} from "@culvert/runtime";
import type { Identity, PeerId } from "@culvert/identity";
import { StreamCarrier } from "../mproxy/stream-carrier.ts";
import type { WssSettings } from "../mproxy/wss-settings.ts";
import type { Session } from "../session.ts";
import { acceptNorouter } from "./open-norouter.ts";

/** One peer that a command leads to. */
export interface CommandLinkOptions {
  /** The peer's name, which is the link's. */
  readonly name: string;
  /** The peer's id: nobody else is accepted at the other end. */
  readonly peer: PeerId;
  /** The program and its arguments; no shell reads them. */
  readonly command: readonly [string, ...string[]];
}

/** What a link tells of itself, for logs and metrics. */
export interface CommandLinkObserver {
  started(name: string, pid: number | undefined): void;
  /** The peer is there and proved. */
  up(name: string, session: Session): void;
  /** A line of the command's standard error. */
  said(name: string, line: string): void;
  /** The command is over, or has not led to a session; it is started again after `delay`. `wasUp`: there was a session. */
  down(name: string, why: string, delay: Millis, wasUp: boolean): void;
}

/** What links work with. */
export interface CommandLinkDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly identity: Identity;
  /** Bounds of the sessions; a command has `commandStartTimeout` to lead to one. */
  readonly settings: WssSettings;
  /** The folder that the commands run in. */
  readonly folder: string;
  /** The environment of the commands, whole. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly observer: CommandLinkObserver;
}

/** A link as `culvert status` shows it; plain JSON. */
export interface CommandLinkStatus {
  readonly name: string;
  readonly state: "starting" | "up" | "waiting" | "stopped";
  readonly command: readonly string[];
  readonly pid?: number;
  /** Times it was started. */
  readonly starts: number;
  readonly lastError?: string;
}

/** Keeps a command running and makes a session of its standard input and output, again and again with back-off, for ever. */
export class CommandLink {
  readonly #deps: CommandLinkDeps;
  readonly #options: CommandLinkOptions;
  readonly #hand: (session: Session) => void;
  readonly #schedule: RetrySchedule;
  readonly #stop = new AbortController();
  #state: CommandLinkStatus["state"] = "stopped";
  #process: CommandProcess | undefined;
  #starts = 0;
  #lastError: string | undefined;
  #lastLine: string | undefined;
  #running: Promise<void> = Promise.resolve();

  /** `hand` gets each session, and owns it. */
  constructor(
    deps: CommandLinkDeps,
    options: CommandLinkOptions,
    hand: (session: Session) => void,
  ) {
    this.#deps = deps;
    this.#options = options;
    this.#hand = hand;
    this.#schedule = new RetrySchedule(deps.random, commandRetry);
  }

  /** Starts the command; returns at once. To be called once. */
  start(): void {
    this.#running = this.#run();
  }

  /** Starts it no more; a session that is up may go on. */
  drain(): void {
    this.#stop.abort(new TransportError("aborted", "the link is stopped"));
  }

  /** Ends the command and what it has started. Its session is closed before by its owner, who has a reason to tell. Never rejects. */
  async close(): Promise<void> {
    this.drain();
    await this.#process?.stop();
    await this.#running;
  }

  status(): CommandLinkStatus {
    const pid = this.#process?.pid;
    const { name, command } = this.#options;
    return {
      name,
      state: this.#state,
      command,
      starts: this.#starts,
      ...(pid === undefined ? {} : { pid }),
      ...(this.#lastError === undefined ? {} : { lastError: this.#lastError }),
    };
  }

  async #run(): Promise<void> {
    const { clock, observer } = this.#deps;
    while (!this.#isStopped()) {
      const startedMs = clock.now();
      const { why, wasUp } = await this.#runOnce();
      if (this.#isStopped()) break;
      if (wasUp && clock.now() - startedMs >= youngSession) this.#schedule.reset();
      const delay = this.#schedule.next();
      this.#state = "waiting";
      this.#lastError = why;
      observer.down(this.#options.name, why, delay, wasUp);
      await sleep(clock, delay, this.#stop.signal).catch(() => undefined);
    }
    this.#state = "stopped";
  }

  #isStopped(): boolean {
    return this.#stop.signal.aborted;
  }

  /** The command from its start to its end, and how that came. */
  async #runOnce(): Promise<{ readonly why: string; readonly wasUp: boolean }> {
    const { observer } = this.#deps;
    const { name } = this.#options;
    this.#state = "starting";
    this.#starts += 1;
    this.#lastLine = undefined;
    const process = this.#spawn();
    if (process.pid === undefined) return { why: (await process.ended).text, wasUp: false };
    this.#process = process;
    observer.started(name, process.pid);
    let session: Session | undefined;
    let why: string;
    try {
      session = await this.#accept(process);
      this.#state = "up";
      this.#lastError = undefined;
      observer.up(name, session);
      this.#hand(session);
      why = endOf(await session.closed);
    } catch (error) {
      why = errorText(error);
    }
    const end = await Promise.race([process.ended, soon(this.#deps.clock)]);
    const { kind, text } = await process.stop();
    this.#process = undefined;
    if (kind === "left") why = `${why}; ${text}`;
    return { why: this.#explain(why, end), wasUp: session !== undefined };
  }

  #spawn(): CommandProcess {
    const { clock, folder, env, observer } = this.#deps;
    const { name, command } = this.#options;
    return new CommandProcess({
      clock,
      command,
      folder,
      env,
      maxLineLength,
      onLine: (line) => {
        // The log of an agent is no last word; what ssh or a shell complains of is.
        if (!line.startsWith("{")) this.#lastLine = line.slice(0, lastLineLength);
        observer.said(name, line);
      },
    });
  }

  #accept({ stdin, stdout, pid }: CommandProcess): Promise<Session> {
    const { clock, random, identity, settings } = this.#deps;
    const remote = `pid ${pid ?? "?"}`;
    const ends = { readable: stdout, writable: stdin };
    return acceptNorouter(
      { clock, random },
      {
        carrier: new StreamCarrier(ends, { clock, kind: "stdio", remote }),
        identity,
        expected: this.#options.peer,
        settings: { ...settings, handshakeTimeout: commandStartTimeout },
        signal: this.#stop.signal,
      },
    );
  }

  /** Where the command has ended by itself, that and its last words say more than the end of a pipe. */
  #explain(why: string, end: CommandEnd | undefined): string {
    if (end === undefined) return why;
    const said = this.#lastLine === undefined ? "" : `; it said last: ${this.#lastLine}`;
    return `${why}; ${end.text}${said}`;
  }
}

function endOf({ text, code }: CloseReason): string {
  return text === "" ? code : text;
}

/** An end of the pipe and the end of its process come close together, in any order. */
function soon(clock: Clock): Promise<undefined> {
  return new Promise((resolve) => {
    clock.setTimer(millis(300), () => resolve(undefined));
  });
}

/** A command that fails at once fails again: ssh without a network, a container that is stopped. */
export const commandRetry: RetryOptions = { first: millis(500), cap: millis(30_000), factor: 2 };
/** ssh looks up a name, dials and proves itself, a container may have to start, and then Node does. */
export const commandStartTimeout = millis(30_000);
const maxLineLength = 1_000;
const lastLineLength = 200;
const youngSession = millis(10_000);
