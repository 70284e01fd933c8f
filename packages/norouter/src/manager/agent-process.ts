import type { Readable } from "node:stream";
import {
  CommandProcess,
  errorText,
  type Clock,
  type CommandEnd,
  type Millis,
} from "@culvert/runtime";
import { FrameDecoder, quoteText, type NorouterFrame } from "@culvert/wire";
import { FrameWriter, type EgressLimits } from "../egress/frame-writer.ts";

/** Who is told what a process does. */
export interface AgentProcessHandlers {
  /** Something came, be it a whole frame or not. */
  onHeard(): void;
  /** A frame came; its payload is valid during the call. */
  onFrame(frame: NorouterFrame): void;
  /** A line of its standard error. */
  onStderrLine(line: string): void;
  /** It has ended, for this reason; called once, and nothing is called after it. */
  onEnd(reason: string, kind: CommandEnd["kind"]): void;
}

/** How a process is run. */
export interface AgentProcessOptions {
  /** Program and arguments; started without a shell, in our environment and folder. */
  readonly argv: readonly string[];
  readonly egress: EgressLimits;
  /** How long it may take to end after its standard input has; then it is killed. */
  readonly grace: Millis;
  /** Whether it may ask at our terminal. */
  readonly terminal: boolean;
}

/**
 * A running command whose standard input and output carry frames. It is asked to end by the end of its standard input, as NoRouter's
 * agents are: they ignore signals. What it writes that is no frame ends it.
 */
export class AgentProcess {
  readonly writer: FrameWriter;
  readonly #handlers: AgentProcessHandlers;
  readonly #command: CommandProcess;
  readonly #decoder = new FrameDecoder({ maxJsonBytes });
  readonly #done: Promise<void>;
  #spoke = false;
  #fault: string | undefined;
  #ended = false;

  constructor(clock: Clock, options: AgentProcessOptions, handlers: AgentProcessHandlers) {
    const { argv: command, grace, terminal, egress } = options;
    this.#handlers = handlers;
    const onLine = (line: string): void => handlers.onStderrLine(line);
    this.#command = new CommandProcess({ clock, command, grace, terminal, onLine });
    this.writer = new FrameWriter(this.#command.stdin, egress);
    this.#listen(this.#command.stdout);
    this.#done = this.#command.ended.then((end) => this.#end(end));
  }

  /** Its process id; undefined where it could not be started. */
  get pid(): number | undefined {
    return this.#command.pid;
  }

  /** Asks it to end, and ends it after the grace time. Resolves when it has ended, or cannot be made to; never rejects. */
  async stop(): Promise<void> {
    if (!this.#ended) {
      this.writer.flush();
      this.#command.stdin.end();
      void this.#command.stop();
    }
    await this.#done;
  }

  #listen(stdout: Readable): void {
    stdout.on("data", (chunk: Buffer) => this.#read(chunk));
    stdout.on("end", () => void this.stop());
  }

  #read(chunk: Buffer): void {
    if (this.#ended || this.#fault !== undefined) return;
    this.#handlers.onHeard();
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
    this.#fault = reason;
    void this.stop();
  }

  #end({ kind, text }: CommandEnd): void {
    this.#ended = true;
    this.#command.stdin.destroy();
    this.#command.stdout.destroy();
    this.#handlers.onEnd(this.#fault === undefined ? text : `${this.#fault}; ${text}`, kind);
  }
}

/** An agent says that it is ready and what addresses names have: far less than its manager may tell it, whom everybody waits for. */
const maxJsonBytes = 64 * 1024;
const shownBytes = 80;
