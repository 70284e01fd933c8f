import { onTestFailed } from "vitest";
import { Child } from "./child.ts";
import { endWithTest } from "./temp-folder.ts";
import { waitUntil } from "./wait.ts";

/** What a {@link Terminal} is to run. */
export interface TerminalOptions {
  readonly command: readonly string[];
  /** Programs and arguments in front of the terminal, such as `ip netns exec NAME`. */
  readonly prefix?: readonly string[];
  readonly cwd?: string;
  /** Where standard error goes, so that only standard output is at the terminal. */
  readonly stderrFile?: string;
}

/** A program at a terminal of its own, 120 columns wide, made by script(1). It ends with the test, and is shown if that fails. */
export class Terminal {
  readonly child: Child;
  #text = "";

  constructor({ command, prefix = [], cwd, stderrFile }: TerminalOptions) {
    const words = command.map(quoted).join(" ");
    const errors = stderrFile === undefined ? "" : ` 2>${quoted(stderrFile)}`;
    const [program = "", ...args] = [
      ...[...prefix, "script", "--quiet", "--flush", "--return"],
      ...["--command", `stty cols 120; exec ${words}${errors}`, "/dev/null"],
    ];
    this.child = new Child(program, args, cwd === undefined ? {} : { cwd });
    this.child.stdout.on("data", (chunk: Buffer) => (this.#text += chunk.toString()));
    this.child.stderr.resume();
    endWithTest(this.child);
    onTestFailed(() => {
      console.error(this.lines.join("\n"));
    });
  }

  /** What a person has read so far, line by line, colours left out. */
  get lines(): readonly string[] {
    // eslint-disable-next-line no-control-regex -- colours are control sequences
    return this.#text.replace(/\u001b\[[\d;]*m/g, "").split(/\r?\n/);
  }

  /** Waits for a line. */
  line(pattern: RegExp, withinMs = 15_000): Promise<string> {
    return waitUntil(
      String(pattern),
      () => {
        const found = this.lines.find((line) => pattern.test(line));
        if (found === undefined && !this.child.running) throw new Error(this.lines.join("\n"));
        return found;
      },
      { withinMs },
    );
  }

  /** Presses keys. */
  type(keys: string): void {
    this.child.stdin.write(keys);
  }
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
