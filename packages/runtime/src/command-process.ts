import { spawn, type ChildProcess } from "node:child_process";
import { PassThrough, type Readable, type Writable } from "node:stream";
import { sleep, type Clock } from "./clock.ts";
import { millis, type Millis } from "./duration.ts";
import { errorText, systemCode } from "./errors.ts";
import { LineSplitter } from "./line-splitter.ts";
import { ProcessGroup } from "./process-group.ts";

/** What is run, and what is told of it. */
export interface CommandOptions {
  readonly clock: Clock;
  /** The program and its arguments; no shell reads them. */
  readonly command: readonly string[];
  /** The folder it runs in; ours unless given. */
  readonly folder?: string | undefined;
  /** The environment, whole; ours unless given. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
  /** Takes each line of standard error; none comes after the end was told. */
  readonly onLine: (line: string) => void;
  /** Longest line that is kept whole; 2,048 characters unless given. */
  readonly maxLineLength?: number | undefined;
  /** How long it may take to end after its standard input has; one second unless given. */
  readonly grace?: Millis | undefined;
  /**
   * Whether it keeps our terminal, so that ssh can ask for a password there. It is then of our own process group: what it starts and
   * leaves behind is not ended with it, and a Ctrl-C reaches it too. No unless given.
   */
  readonly terminal?: boolean | undefined;
}

/** How a command came to its end. */
export interface CommandEnd {
  /**
   * `exited`: by itself or by a signal; `unstartable`: there is nothing that could run; `exhausted`: it could not be started since the
   * system had no files or processes to give, which may be otherwise soon; `left`: it still runs, and could not be made to end.
   */
  readonly kind: "exited" | "unstartable" | "exhausted" | "left";
  /** The same in words: `it exited with code 127`. */
  readonly text: string;
}

/**
 * A command whose standard input and output belong to whoever started it, and whose standard error is told by lines. Unless it keeps our
 * terminal, it leads a process group of its own, so that whatever it starts ends with it, and a Ctrl-C at our terminal reaches us alone.
 * Never throws: what cannot be started has ended.
 */
export class CommandProcess {
  readonly stdin: Writable;
  readonly stdout: Readable;
  /** Undefined where it could not be started. */
  readonly pid: number | undefined;
  /** How it ended, once nothing of it is left or nothing can be done about it; never rejects. */
  readonly ended: Promise<CommandEnd>;
  readonly #clock: Clock;
  readonly #grace: Millis;
  readonly #child: ChildProcess | undefined;
  readonly #leadsGroup: boolean;
  readonly #lines: LineSplitter;
  #end: CommandEnd | undefined;
  #tell!: (end: CommandEnd) => void;
  #stopping: Promise<CommandEnd> | undefined;
  /** Its whole group was sent SIGKILL. */
  #killed = false;

  constructor(options: CommandOptions) {
    const { clock, onLine, maxLineLength = defaultMaxLineLength, grace = patience } = options;
    this.#clock = clock;
    this.#grace = grace;
    this.#leadsGroup = leadsGroup(options);
    this.#lines = new LineSplitter(maxLineLength, onLine);
    this.ended = new Promise((resolve) => (this.#tell = resolve));
    const [program = ""] = options.command;
    const child = spawnCommand(options);
    // Where there are no files to give for its pipes, Node makes a child that has none.
    this.stdin = quiet((child instanceof Error ? undefined : child.stdin) ?? new PassThrough());
    this.stdout = quiet((child instanceof Error ? undefined : child.stdout) ?? new PassThrough());
    if (child instanceof Error) {
      this.#settle(startFailure(child, program));
      return;
    }
    this.#child = child;
    this.pid = child.pid;
    this.#listen(child, program);
  }

  /**
   * Ends it and everything it has started. Whoever writes to its standard input has ended that by the time of this call or right after
   * it, which is how an agent is told; what has not ended after the grace time is sent SIGTERM, and at last SIGKILL. What even that does
   * not end is left, and told so. Never rejects.
   */
  stop(): Promise<CommandEnd> {
    this.#stopping ??= this.#stopInOrder();
    return this.#stopping;
  }

  async #stopInOrder(): Promise<CommandEnd> {
    const { pid } = this;
    if (await this.#endsWithin(this.#grace)) return this.ended;
    for (const signal of ["SIGTERM", "SIGKILL"] as const) {
      this.stdin.destroy();
      this.#killed = signal === "SIGKILL";
      this.#signal(signal);
      if (await this.#endsWithin(patience)) return this.ended;
    }
    this.#settle({
      kind: "left",
      text: `it cannot be ended, and is left behind as process ${pid ?? "?"}`,
    });
    return this.ended;
  }

  #listen(child: ChildProcess, program: string): void {
    child.on("error", (error) => {
      // An error of a running process is a signal that was not delivered.
      if (child.pid === undefined) this.#settle(startFailure(error, program));
    });
    child.stderr?.on("error", () => undefined);
    child.stderr?.on("data", (bytes: Buffer) => {
      if (this.#end === undefined) this.#lines.push(bytes);
    });
    child.once("exit", (code, signal) => {
      const closed = new Promise((resolve) => child.once("close", resolve));
      const text = signal === null ? `it exited with code ${code ?? 0}` : `${signal} ended it`;
      void this.#sweep(closed).then(() => this.#settle({ kind: "exited", text }));
    });
  }

  /** What it has started and left behind ends too; what was said last may still be on its way. */
  async #sweep(closed: Promise<unknown>): Promise<void> {
    if (this.pid !== undefined && !this.#killed && this.#leadsGroup) {
      await new ProcessGroup(this.#clock, this.pid).end(patience);
    }
    await this.#within(closed, lastWords);
  }

  /** Told once, and no line after it. Output that was not read yet stays with whoever reads it. */
  #settle(end: CommandEnd): void {
    if (this.#end !== undefined) return;
    this.#lines.end();
    this.#end = end;
    this.#child?.stderr?.destroy();
    if (end.kind !== "exited") {
      this.stdin.destroy();
      this.stdout.destroy();
    }
    this.#child?.unref();
    this.#tell(end);
  }

  async #endsWithin(limit: Millis): Promise<boolean> {
    return this.#within(this.ended, limit);
  }

  async #within(awaited: Promise<unknown>, limit: Millis): Promise<boolean> {
    const patient = new AbortController();
    const late = sleep(this.#clock, limit, patient.signal).then(
      () => false,
      () => false,
    );
    const came = await Promise.race([awaited.then(() => true), late]);
    patient.abort();
    return came;
  }

  #signal(signal: NodeJS.Signals): void {
    if (this.pid === undefined) return;
    if (this.#leadsGroup) new ProcessGroup(this.#clock, this.pid).signal(signal);
    else this.#child?.kill(signal);
  }
}

/** Windows knows no process groups. */
function leadsGroup({ terminal = false }: CommandOptions): boolean {
  return !terminal && process.platform !== "win32";
}

/** Spawns without a shell; gives what Node says of what it cannot even try. */
function spawnCommand(options: CommandOptions): ChildProcess | Error {
  const { command, folder, env } = options;
  const [program = "", ...args] = command;
  try {
    return spawn(program, args, {
      stdio: ["pipe", "pipe", "pipe"],
      cwd: folder,
      env: env === undefined ? undefined : { ...env },
      detached: leadsGroup(options),
      windowsHide: true,
    });
  } catch (error) {
    return error instanceof Error ? error : new Error(errorText(error));
  }
}

function startFailure(error: Error, program: string): CommandEnd {
  const code = systemCode(error) ?? "";
  if (exhaustion.has(code)) {
    const what = `the system has no more files or processes to give (${code})`;
    return { kind: "exhausted", text: `it cannot be started: ${what}` };
  }
  return { kind: "unstartable", text: `it cannot be started: ${whyUnstartable(error, program)}` };
}

function whyUnstartable(error: Error, program: string): string {
  const code = systemCode(error);
  if (code === "ENOENT") return `there is no program ${program}, or not the folder it is to run in`;
  return code === "EACCES" ? `${program} may not be run` : errorText(error);
}

/** Whoever was at the other end is gone: its end is told by itself. */
function quiet<S extends Readable | Writable>(stream: S): S {
  stream.on("error", () => undefined);
  return stream;
}

const exhaustion = new Set(["EAGAIN", "EMFILE", "ENFILE", "ENOMEM"]);
const defaultMaxLineLength = 2_048;
/** How long each way of ending a command is given, before the next. */
const patience = millis(1_000);
const lastWords = millis(500);
