import { Child, type ChildOptions } from "../support/child.ts";

/** The processes that belong together; ending the crew ends each of them by its own process id. */
export class Crew {
  readonly #children = new Set<Child>();

  /** Starts a program; `prefix` is put in front, such as `ip netns exec NAME`. Its output is kept short, see {@link output}. */
  start(
    prefix: readonly string[],
    program: string,
    args: readonly string[],
    options: ChildOptions = {},
  ): Child {
    const command = [...prefix, program, ...args];
    const child = new Child(command[0] ?? program, command.slice(1), options);
    this.#children.add(child);
    const keep = (chunk: Buffer): void => {
      tails.set(child, ((tails.get(child) ?? "") + chunk.toString("utf8")).slice(-tailLength));
    };
    child.stdout.on("data", keep);
    child.stderr.on("data", keep);
    return child;
  }

  /** Ends one process. */
  async end(child: Child, signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    await child.end(signal);
    this.#children.delete(child);
  }

  /** Ends all, the newest first. With SIGTERM, what does not end within five seconds is killed. */
  async close(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    for (const child of [...this.#children].reverse()) {
      try {
        await child.end(signal, 5_000);
      } catch {
        await child.end("SIGKILL").catch(() => undefined);
      }
    }
    this.#children.clear();
  }
}

/** The last few thousand characters that a process of a crew wrote on standard output and standard error. */
export function output(child: Child): string {
  return tails.get(child) ?? "";
}

const tails = new WeakMap<Child, string>();
const tailLength = 4_000;
