import { spawn, type ChildProcessByStdio } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import {
  errorText,
  millis,
  sleep,
  systemCode,
  TransportError,
  type Clock,
  type Millis,
} from "@culvert/runtime";
import { LineSplitter } from "./line-splitter.ts";

/** What is run, and what is told of it. */
export interface CommandProcessOptions {
  readonly clock: Clock;
  /** The program and its arguments; no shell reads them. */
  readonly command: readonly [string, ...string[]];
  /** The folder it runs in. */
  readonly folder: string;
  /** The environment, whole. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Takes each line of standard error, cut at {@link maxLineLength}. */
  readonly onLine: (line: string) => void;
}

/**
 * A command whose standard input and output carry a session. It leads a process group of its own, so that whatever it starts ends
 * with it, and a Ctrl-C at our terminal reaches us alone.
 */
export class CommandProcess {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly pid: number | undefined;
  /** How it ended, in one line: `it exited with code 127`. Never rejects. */
  readonly ended: Promise<string>;
  readonly #clock: Clock;
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  #over = false;

  /**
   * Starts it. A program that is not there ends at once.
   * @throws TransportError `refused` where the system has no more files or processes to give.
   */
  constructor({ clock, command, folder, env, onLine }: CommandProcessOptions) {
    const [program, ...args] = command;
    this.#clock = clock;
    const child = start(program, args, folder, env);
    this.#child = child;
    this.stdin = child.stdin;
    this.stdout = child.stdout;
    this.pid = child.pid;
    for (const stream of [child.stdin, child.stdout, child.stderr]) {
      stream.on("error", () => undefined);
    }
    const lines = new LineSplitter(maxLineLength, onLine);
    child.stderr.on("data", (bytes: Buffer) => lines.push(bytes));
    child.stderr.on("end", () => lines.end());
    this.ended = new Promise((resolve) => {
      child.on("error", (error) => {
        if (child.pid !== undefined) return;
        this.#over = true;
        resolve(`it cannot be started: ${startFailure(error, program)}`);
      });
      child.once("exit", (code, signal) => {
        this.#over = true;
        // Whatever it has started and left behind.
        this.#signal("SIGKILL");
        const how = signal === null ? `it exited with code ${code ?? 0}` : `${signal} ended it`;
        // Its last words may still be on their way.
        const timer = clock.setTimer(lastWords, () => resolve(how));
        child.once("close", () => {
          timer.cancel();
          resolve(how);
        });
      });
    });
  }

  /**
   * Ends it and everything it has started. Whoever carries a session over it has ended its standard input, in order, by the time of
   * this call or right after it, which is how an agent is told; what does not end then is sent SIGTERM, and at last SIGKILL. Never
   * rejects.
   */
  async stop(): Promise<void> {
    if (this.#over) return;
    for (const signal of ["SIGTERM", "SIGKILL"] as const) {
      if (await this.#endsWithin(patience)) return;
      this.stdin.destroy();
      this.#signal(signal);
    }
    await this.ended;
  }

  async #endsWithin(limit: Millis): Promise<boolean> {
    const patient = new AbortController();
    const late = sleep(this.#clock, limit, patient.signal).then(
      () => false,
      () => false,
    );
    const ended = await Promise.race([this.ended.then(() => true), late]);
    patient.abort();
    return ended;
  }

  #signal(signal: NodeJS.Signals): void {
    const { pid } = this.#child;
    if (pid === undefined) return;
    if (process.platform === "win32") {
      this.#child.kill(signal);
      return;
    }
    try {
      process.kill(-pid, signal);
    } catch {
      // Nobody of the group is left.
    }
  }
}

function startFailure(error: Error, program: string): string {
  if (systemCode(error) === "ENOENT")
    return `there is no program ${program}, or not the folder it is to run in`;
  if (systemCode(error) === "EACCES") return `${program} may not be run`;
  return errorText(error);
}

/** Longest line of standard error that is kept whole. */
export const maxLineLength = 1_000;
/** How long each way of ending a command is given, before the next. */
const patience = millis(1_000);
const lastWords = millis(200);

/** Spawns without a shell, in a process group of its own. */
function start(
  program: string,
  args: readonly string[],
  folder: string,
  env: Readonly<Record<string, string | undefined>>,
): ChildProcessByStdio<Writable, Readable, Readable> {
  let child: ChildProcessByStdio<Writable, Readable, Readable>;
  try {
    child = spawn(program, args, {
      stdio: ["pipe", "pipe", "pipe"],
      cwd: folder,
      env: { ...env },
      detached: process.platform !== "win32",
      windowsHide: true,
    });
  } catch (error) {
    throw new TransportError("refused", `it cannot be started: ${errorText(error)}`, {
      cause: error,
    });
  }
  // Without files to give for the pipes, Node returns a child that has none.
  const input = child.stdin as Writable | undefined;
  if (input !== undefined) return child;
  child.on("error", () => undefined);
  throw new TransportError("refused", "the system has no more files or processes to give");
}
