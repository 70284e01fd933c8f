import { spawn, type ChildProcessByStdio } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import {
  errorText,
  millis,
  TransportError,
  type Clock,
  type Millis,
  type Timer,
} from "@culvert/runtime";
import { FrameDecoder, quoteText, type NorouterFrame } from "@culvert/wire";
import { FrameWriter, type EgressLimits } from "../egress/frame-writer.ts";
import { LineSplitter } from "./line-splitter.ts";

/** Who is told what a process does. */
export interface AgentProcessHandlers {
  /** A frame came; its payload is valid during the call. */
  onFrame(frame: NorouterFrame): void;
  /** A line of its standard error. */
  onStderrLine(line: string): void;
  /** It has ended, for this reason; called once, and nothing is called after it. */
  onEnd(reason: string): void;
}

/** How a process is run. */
export interface AgentProcessOptions {
  /** Program and arguments; started without a shell, in our environment and folder. */
  readonly argv: readonly string[];
  readonly egress: EgressLimits;
  /** How long it may take to end after its standard input has; then it is killed. */
  readonly grace: Millis;
}

/**
 * A running command whose standard input and output carry frames. It is asked to end by the end of its standard input, as NoRouter's
 * agents are: they ignore signals. What it writes that is no frame ends it.
 */
export class AgentProcess {
  readonly writer: FrameWriter;
  readonly #clock: Clock;
  readonly #options: AgentProcessOptions;
  readonly #handlers: AgentProcessHandlers;
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #decoder = new FrameDecoder();
  readonly #stderr: LineSplitter;
  #spoke = false;
  #fault: string | undefined;
  #ended = false;
  #timer: Timer | undefined;
  readonly #done: Promise<void>;
  #resolveDone!: () => void;

  /** @throws whatever Node says of a command that it cannot even try to start. */
  constructor(clock: Clock, options: AgentProcessOptions, handlers: AgentProcessHandlers) {
    this.#clock = clock;
    this.#options = options;
    this.#handlers = handlers;
    this.#stderr = new LineSplitter((line) => handlers.onStderrLine(line));
    this.#done = new Promise((resolve) => (this.#resolveDone = resolve));
    const [program = "", ...args] = options.argv;
    this.#child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"], windowsHide: true });
    this.#child.on("error", (error) => {
      // An error of a running process is a signal that was not delivered.
      if (this.#child.pid === undefined) this.#end(`it cannot be started: ${errorText(error)}`);
    });
    this.writer = new FrameWriter(this.#inputOfChild(), options.egress);
    this.#listen();
  }

  /** Its process id; undefined where it could not be started. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Asks it to end and kills it after the grace time. Resolves when it has ended; never rejects. */
  stop(): Promise<void> {
    if (!this.#ended && this.#timer === undefined) {
      this.#child.stdin.end();
      this.#timer = this.#clock.setTimer(this.#options.grace, () => this.#kill());
    }
    return this.#done;
  }

  /** Node has none for us where the system has no more files or processes to give; whoever made us is then told by what we throw. */
  #inputOfChild(): Writable {
    const input = this.#child.stdin as Writable | undefined;
    if (input !== undefined) return input;
    this.#ended = true;
    throw new TransportError("refused", "the system has no more files or processes to give");
  }

  #listen(): void {
    const { stdin, stdout, stderr } = this.#child;
    // Whoever reads our frames is gone: its end will be told by itself.
    stdin.on("error", () => undefined);
    stdout.on("error", () => undefined);
    stderr.on("error", () => undefined);
    stdout.on("data", (chunk: Buffer) => this.#read(chunk));
    stdout.on("end", () => void this.stop());
    stderr.on("data", (chunk: Buffer) => {
      if (!this.#ended) this.#stderr.push(chunk);
    });
    this.#child.on("exit", (code, signal) => {
      const how = signal === null ? `it ended with exit code ${code ?? 0}` : `${signal} ended it`;
      // What it wrote last is still to be read, but its own children may keep the pipes open for ever.
      const late = this.#clock.setTimer(lastWords, () => this.#end(how));
      this.#child.once("close", () => {
        late.cancel();
        this.#end(how);
      });
    });
  }

  #read(chunk: Buffer): void {
    if (this.#ended || this.#fault !== undefined) return;
    let frames: NorouterFrame[];
    try {
      frames = this.#decoder.push(chunk);
    } catch (error) {
      // What a shell greets with, or a program that is no agent, says best what is wrong.
      const shown = this.#spoke
        ? ""
        : `; its standard output begins with ${quoteText(chunk.subarray(0, shownBytes).toString())}`;
      this.#fail(`${errorText(error)}${shown}`);
      return;
    }
    this.#spoke = true;
    for (const frame of frames) this.#handlers.onFrame(frame);
  }

  /** It can be talked to no longer. */
  #fail(reason: string): void {
    if (this.#ended || this.#fault !== undefined) return;
    this.#fault = reason;
    void this.stop();
  }

  #kill(): void {
    this.#fault ??= "it did not end by itself";
    this.#child.kill("SIGKILL");
  }

  #end(how: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#timer?.cancel();
    this.#stderr.end();
    this.#child.stdin.destroy();
    this.#child.stdout.destroy();
    this.#child.stderr.destroy();
    this.#handlers.onEnd(this.#fault === undefined ? how : `${this.#fault}; ${how}`);
    this.#resolveDone();
  }
}

const lastWords = millis(500);
const shownBytes = 80;
