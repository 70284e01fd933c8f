import { spawn, type ChildProcessByStdio } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { within } from "./wait.ts";

/** How a child process ended: exactly one of the two is not null. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** What a program that ran to its end left. */
export interface RunResult extends Exit {
  readonly stdout: string;
  readonly stderr: string;
}

/** Where and how to start a child process. */
export interface ChildOptions {
  readonly cwd?: string;
  /** Added to the environment of the tests. */
  readonly env?: Readonly<Record<string, string>>;
}

const living = new Set<Child>();

// The last broom: a test run that is cut short leaves no process behind.
process.once("exit", () => {
  for (const child of living) child.signal("SIGKILL");
});

/** A child process with its three pipes, killed by its own process id and never by name. */
export class Child {
  readonly name: string;
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Settles once the process has ended and its output is read; rejects only if it could not be started. */
  readonly exited: Promise<Exit>;
  readonly #process: ChildProcessByStdio<Writable, Readable, Readable>;

  constructor(program: string, args: readonly string[], options: ChildOptions = {}) {
    this.name = [program, ...args].join(" ");
    this.#process = spawn(program, args, {
      stdio: ["pipe", "pipe", "pipe"],
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
    });
    this.stdin = this.#process.stdin;
    this.stdout = this.#process.stdout;
    this.stderr = this.#process.stderr;
    // A program that ends before it has read everything is an outcome, not a fault of the test.
    this.stdin.on("error", () => undefined);
    living.add(this);
    this.exited = new Promise((resolve, reject) => {
      this.#process.once("error", (error) => {
        living.delete(this);
        reject(new Error(`cannot start ${this.name}`, { cause: error }));
      });
      this.#process.once("close", (code, signal) => {
        living.delete(this);
        resolve({ code, signal });
      });
    });
    this.exited.catch(() => undefined);
  }

  /** The process id; throws if the program could not be started. */
  get pid(): number {
    const pid = this.#process.pid;
    if (pid === undefined) throw new Error(`not started: ${this.name}`);
    return pid;
  }

  /** True until the process has ended. */
  get running(): boolean {
    return living.has(this);
  }

  /** Sends a signal; nothing happens if the process has ended. */
  signal(signal: NodeJS.Signals): void {
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      this.#process.kill(signal);
    }
  }

  /** Sends a signal and waits until the process has ended. */
  async end(signal: NodeJS.Signals = "SIGKILL", ms = 10_000): Promise<Exit> {
    this.signal(signal);
    // A process stopped by SIGSTOP hears nothing but SIGKILL and SIGCONT.
    if (signal !== "SIGKILL") this.signal("SIGCONT");
    return within(ms, `end of ${this.name} after ${signal}`, this.exited);
  }
}

/** Runs a program to its end, at most `timeoutMs` (default 60,000) long. Throws only if it cannot be started or takes longer. */
export async function run(
  program: string,
  args: readonly string[],
  options: ChildOptions & {
    readonly input?: string | Uint8Array;
    readonly timeoutMs?: number;
  } = {},
): Promise<RunResult> {
  const child = new Child(program, args, options);
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => stderr.push(chunk));
  child.stdin.end(options.input ?? "");
  try {
    const timeoutMs = options.timeoutMs ?? 60_000;
    const exit = await within(timeoutMs, `end of ${child.name}`, child.exited);
    return { ...exit, stdout: text(stdout), stderr: text(stderr) };
  } catch (error) {
    await child.end().catch(() => undefined);
    throw new Error(`${child.name}: ${text(stdout)}${text(stderr)}`, { cause: error });
  }
}

function text(chunks: readonly Buffer[]): string {
  return Buffer.concat(chunks).toString("utf8");
}
