import { once } from "node:events";
import { readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { afterEach, describe, expect, test, vi } from "vitest";
import { systemClock } from "./clock.ts";
import { CommandProcess, type CommandEnd } from "./command-process.ts";
import { withDeadline } from "./deadline.ts";
import { millis } from "./duration.ts";

const started: CommandProcess[] = [];

interface Wait {
  readonly limitMs?: number;
  readonly what: string;
}

function within<T>(promise: Promise<T>, { limitMs = 5_000, what }: Wait): Promise<T> {
  return withDeadline({ clock: systemClock, limit: millis(limitMs), what }, () => promise);
}

/** Polls until the condition holds. */
async function waitUntil(condition: () => boolean, { limitMs = 5_000, what }: Wait): Promise<void> {
  await vi.waitFor(() => expect(condition(), what).toBe(true), { timeout: limitMs, interval: 10 });
}

function run(
  script: string,
  env: NodeJS.ProcessEnv = {},
  terminal = false,
): { process: CommandProcess; lines: string[] } {
  const lines: string[] = [];
  const process_ = new CommandProcess({
    clock: systemClock,
    command: [process.execPath, "-e", script],
    folder: tmpdir(),
    env,
    terminal,
    onLine: (line) => void lines.push(line),
  });
  started.push(process_);
  return { process: process_, lines };
}

function exited(text: string): CommandEnd {
  return { kind: "exited", text };
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

afterEach(async () => {
  await Promise.all(started.splice(0).map((one) => one.stop()));
});

describe("CommandProcess", () => {
  test("carries bytes both ways and ends with its standard input", async () => {
    const { process } = run("process.stdin.pipe(process.stdout)");
    process.stdin.write("there and back");
    const [bytes] = (await within(once(process.stdout, "data"), { what: "the echo" })) as [Buffer];
    expect(String(bytes)).toBe("there and back");
    process.stdin.end();
    await within(process.stop(), { what: "its end" });
    expect(await process.ended).toEqual(exited("it exited with code 0"));
  });

  test("tells how it ended, after its last words", async () => {
    const { process, lines } = run(
      "console.error('no route'); console.error('bye'); process.exit(7)",
    );
    expect(await within(process.ended, { what: "its end" })).toEqual(
      exited("it exited with code 7"),
    );
    expect(lines).toEqual(["no route", "bye"]);
  });

  test("a program that is not there is a reason, not a crash", async () => {
    const process = new CommandProcess({
      clock: systemClock,
      command: ["/nowhere/ssh"],
      folder: tmpdir(),
      env: {},
      onLine: () => undefined,
    });
    expect(await within(process.ended, { what: "its end" })).toEqual({
      kind: "unstartable",
      text: "it cannot be started: there is no program /nowhere/ssh, or not the folder it is to run in",
    });
    await process.stop();
  });

  test("gets the environment it is given, and nothing of ours", async () => {
    const { process } = run("console.log(JSON.stringify(process.env))", { GIVEN: "1" });
    const [bytes] = (await within(once(process.stdout, "data"), { what: "its words" })) as [Buffer];
    expect(Object.keys(JSON.parse(String(bytes)) as object)).toEqual(["GIVEN"]);
  });

  test("what ignores the end of its input and SIGTERM is killed, with all it has started", async () => {
    const { process, lines } = run(`
      process.on("SIGTERM", () => undefined);
      const child = require("child_process").spawn(process.execPath,
        ["-e", "process.on('SIGTERM', () => undefined); setInterval(() => undefined, 1000)"], { stdio: "ignore" });
      console.error(child.pid);
      setInterval(() => undefined, 1000);`);
    await waitUntil(() => lines.length === 1, { what: "its words" });
    const grandchild = Number(lines[0]);
    expect(isAlive(grandchild)).toBe(true);
    await within(process.stop(), { limitMs: 10_000, what: "its end" });
    expect(await process.ended).toEqual(exited("SIGKILL ended it"));
    await waitUntil(() => !isAlive(grandchild), { what: "the end of what it started" });
  });

  test("what nobody can end is left and told so, and holds nobody up", async () => {
    const { process: command } = run("setInterval(() => undefined, 1000)");
    // As for a command that has become another user's.
    const kill = vi.spyOn(process, "kill").mockImplementation(() => {
      throw Object.assign(new Error("kill EPERM"), { code: "EPERM" });
    });
    try {
      const end = await within(command.stop(), { limitMs: 10_000, what: "giving up" });
      expect(end).toEqual({
        kind: "left",
        text: `it cannot be ended, and is left behind as process ${command.pid}`,
      });
      expect(await command.stop()).toBe(end);
    } finally {
      kill.mockRestore();
      process.kill(command.pid!, "SIGKILL");
    }
  });

  test.skipIf(process.platform !== "linux")(
    "has a session of its own, unless it is to keep our terminal",
    async () => {
      // Its name has no spaces: pid (name) state parent group session.
      const session =
        'console.error(require("fs").readFileSync("/proc/self/stat", "utf8").split(" ")[5])';
      const ours = readFileSync("/proc/self/stat", "utf8").split(" ")[5];
      for (const terminal of [false, true]) {
        const { process, lines } = run(session, {}, terminal);
        await within(process.ended, { what: "its end" });
        expect(lines).toEqual([terminal ? ours : String(process.pid)]);
      }
    },
  );

  test("that keeps our terminal is ended as well, where it ignores the end of its input", async () => {
    const { process, lines } = run(
      "setInterval(() => undefined, 1000); console.error(1);",
      {},
      true,
    );
    await waitUntil(() => lines.length === 1, { what: "its words" });
    expect(await within(process.stop(), { what: "its end" })).toEqual(exited("SIGTERM ended it"));
  });

  test("what it leaves behind ends with it", async () => {
    const { process, lines } = run(`
      const child = require("child_process").spawn(process.execPath,
        ["-e", "setInterval(() => undefined, 1000)"], { stdio: "inherit" });
      console.error(child.pid);
      process.stdin.once("data", () => process.exit(3));`);
    await waitUntil(() => lines.length === 1, { what: "its words" });
    process.stdin.write("go");
    expect(await within(process.ended, { what: "its end" })).toEqual(
      exited("it exited with code 3"),
    );
    await waitUntil(() => !isAlive(Number(lines[0])), { what: "the end of what it started" });
  });
});
