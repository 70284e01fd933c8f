import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { millis, TransportError, withDeadline, type Clock } from "@culvert/runtime";

/** A `culvert` process of the demonstration. Owned by who started it; {@link stop} ends it for certain. */
export class CulvertChild {
  readonly #clock: Clock;
  readonly #name: string;
  readonly #child: ChildProcess;
  readonly #firstLine: Promise<string>;
  readonly #ended: Promise<void>;
  /** The last lines of its standard error, for when it fails. */
  readonly #complaints: string[] = [];

  constructor(clock: Clock, args: readonly string[]) {
    this.#clock = clock;
    this.#name = args[0] ?? "culvert";
    const [, script = ""] = process.argv;
    const child = spawn(process.execPath, [...process.execArgv, script, ...args], {
      stdio: ["ignore", "pipe", "pipe"],
      env: withoutOurVariables(process.env),
    });
    this.#child = child;
    this.#ended = new Promise((resolve) => {
      child.once("error", (error) => {
        this.#complain(error.message);
        resolve();
      });
      child.once("close", () => resolve());
    });
    createInterface({ input: child.stderr }).on("line", (line) => this.#complain(line));
    const output = createInterface({ input: child.stdout });
    this.#firstLine = once(output, "line").then(([line]) => String(line));
  }

  /** Settles when the process has ended, whatever the reason. */
  get ended(): Promise<void> {
    return this.#ended;
  }

  /**
   * Waits for the ready line and returns what follows the word `ready`.
   * @throws TransportError `timeout`, or `connection_closed` where the process ended instead; with its last words.
   */
  async ready(): Promise<string> {
    const died = this.#ended.then(() => undefined);
    const line = await withDeadline(
      { clock: this.#clock, limit: readyTimeout, what: `${this.#name} getting ready` },
      () => Promise.race([this.#firstLine, died]),
    ).catch((error: unknown) => {
      throw new TransportError(
        "timeout",
        `${this.#name} did not get ready in time${this.#lastWords()}`,
        {
          cause: error,
        },
      );
    });
    if (line?.startsWith("ready ") === true) return line.slice("ready ".length);
    throw new TransportError(
      "connection_closed",
      `${this.#name} ended before it was ready${this.#lastWords()}`,
    );
  }

  /** Why the process ended, for a person. */
  describeEnd(): string {
    return `${this.#name} has ended${this.#lastWords()}`;
  }

  /** Ends the process: politely, and after three seconds by force. Never rejects. */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill("SIGTERM");
    const limit = stopTimeout;
    await withDeadline({ clock: this.#clock, limit, what: "ending" }, () => this.#ended).catch(
      async () => {
        this.#child.kill("SIGKILL");
        await this.#ended;
      },
    );
  }

  #complain(line: string): void {
    this.#complaints.push(line.slice(0, 500));
    if (this.#complaints.length > 5) this.#complaints.shift();
  }

  #lastWords(): string {
    return this.#complaints.length === 0 ? "" : `; it said:\n  ${this.#complaints.join("\n  ")}`;
  }
}

/** The children are told everything by file and flag, so that the user's own settings do not reach into the demonstration. */
function withoutOurVariables(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith("CULVERT_")));
}

const readyTimeout = millis(20_000);
const stopTimeout = millis(3_000);
