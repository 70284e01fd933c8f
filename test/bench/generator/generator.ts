import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Child } from "../../support/child.ts";
import { within } from "../../support/wait.ts";
import { output, type Crew } from "../crew.ts";
import type { Operations, Reply } from "./operations.ts";

/** The load generator's process, as the bench sees it. */
export class Generator {
  readonly #child: Child;
  readonly #waiting = new Map<number, (reply: Reply) => void>();
  #lastId = 0;

  constructor(crew: Crew, prefix: readonly string[]) {
    this.#child = startScript(crew, prefix, "main.ts");
    createInterface(this.#child.stdout).on("line", (line) => {
      const reply = JSON.parse(line) as Reply;
      this.#waiting.get(reply.id)?.(reply);
      this.#waiting.delete(reply.id);
    });
    const over = (): void => {
      for (const [id, settle] of this.#waiting) {
        settle({ id, error: `the load generator ended: ${output(this.#child)}` });
      }
    };
    this.#child.exited.then(over, over);
  }

  /** Has an operation done; rejects with its error, or after `withinMs`. */
  async call<Name extends keyof Operations>(
    operation: Name,
    args: Operations[Name]["args"],
    withinMs = 120_000,
  ): Promise<Operations[Name]["result"]> {
    const id = (this.#lastId += 1);
    const reply = new Promise<Reply>((resolve) => {
      this.#waiting.set(id, resolve);
      this.#child.stdin.write(`${JSON.stringify({ id, operation, args })}\n`);
    });
    const { error, result } = await within(withinMs, `${operation} of the load generator`, reply);
    if (error !== undefined) throw new Error(error);
    return result as Operations[Name]["result"];
  }
}

/** Starts the echo server at a port of the edge's 127.0.0.1. */
export function startTarget(crew: Crew, prefix: readonly string[], port: number): void {
  startScript(crew, prefix, "target.ts", String(port));
}

function startScript(crew: Crew, prefix: readonly string[], script: string, ...args: string[]) {
  const path = fileURLToPath(new URL(script, import.meta.url));
  const node = ["--conditions=@culvert/source", "--import", import.meta.resolve("tsx"), path];
  return crew.start(prefix, process.execPath, [...node, ...args]);
}
