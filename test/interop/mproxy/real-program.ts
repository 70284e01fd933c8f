import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { onTestFailed } from "vitest";
import { Child } from "../../support/child.ts";
import { endWithTest } from "../../support/temp-folder.ts";
import { waitUntil } from "../../support/wait.ts";

/** The path of a checkout in an environment variable; undefined, and a line on the terminal that says so, where there is none. */
export function checkout(variable: string, what: string): string | undefined {
  const path = process.env[variable];
  if (path !== undefined && path !== "") return path;
  console.warn(`skipped: ${variable} names no checkout of ${what}`);
  return undefined;
}

/** What a script of this folder reported. */
export interface Report {
  readonly event: string;
  readonly value: unknown;
}

/** A script of this folder in a process of its own. It ends with the test; what it said is printed if the test fails. */
export class RealProgram {
  readonly reports: Report[] = [];
  /** Everything it said besides. */
  readonly lines: string[] = [];
  readonly child: Child;

  constructor(command: readonly string[], env: Readonly<Record<string, string>>, cwd?: string) {
    this.child = new Child(process.execPath, [...command], {
      env,
      ...(cwd === undefined ? {} : { cwd }),
    });
    createInterface(this.child.stdout).on("line", (line) => this.#keep(line));
    createInterface(this.child.stderr).on("line", (line) => this.lines.push(line));
    endWithTest(this.child);
    onTestFailed(() => {
      console.error(this.lines.slice(-80).join("\n"));
    });
  }

  /** Waits for a report, and gives its value. */
  async reported(event: string, ms = 15_000): Promise<unknown> {
    const report = await waitUntil(
      `report: ${event}`,
      () => {
        if (!this.child.running) throw new Error("it has ended");
        return this.reports.find((each) => each.event === event);
      },
      { withinMs: ms },
    );
    return report.value;
  }

  #keep(line: string): void {
    try {
      const report = JSON.parse(line) as Report;
      if (typeof report.event === "string") {
        this.reports.push(report);
        return;
      }
    } catch {
      // No report.
    }
    this.lines.push(line);
  }
}

/** The path of a script of this folder. */
export function scriptPath(name: string): string {
  return fileURLToPath(new URL(name, import.meta.url));
}
