import { onTestFinished } from "vitest";
import { Child } from "./child.ts";
import { waitUntil } from "./wait.ts";

/** A netcat (OpenBSD's, as Debian ships it) in a terminal of its own. */
export class Netcat {
  readonly child: Child;
  #heard = "";

  /** Text mode keeps what it hears; with `text: false` standard output is the caller's. */
  constructor(args: readonly string[], options: { readonly text?: boolean } = {}) {
    this.child = new Child("nc", args);
    this.child.stderr.resume();
    if (options.text !== false) {
      this.child.stdout.on("data", (chunk: Buffer) => {
        this.#heard += chunk.toString("utf8");
      });
    }
    onTestFinished(async () => {
      await this.child.end();
    });
  }

  /** Types a line. */
  type(line: string): void {
    this.child.stdin.write(`${line}\n`);
  }

  /** Waits until a line has come. */
  async hears(line: string, ms = 5_000): Promise<void> {
    await waitUntil(
      `netcat hears "${line}", heard "${this.#heard}"`,
      () => this.#heard.includes(`${line}\n`),
      { withinMs: ms },
    );
  }
}
