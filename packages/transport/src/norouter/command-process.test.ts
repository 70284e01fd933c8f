import { once } from "node:events";
import { tmpdir } from "node:os";
import { systemClock } from "@culvert/runtime";
import { waitUntil, within } from "@culvert/testkit";
import { afterEach, describe, expect, test } from "vitest";
import { CommandProcess } from "./command-process.ts";

const started: CommandProcess[] = [];

function run(
  script: string,
  env: NodeJS.ProcessEnv = {},
): { process: CommandProcess; lines: string[] } {
  const lines: string[] = [];
  const process_ = new CommandProcess({
    clock: systemClock,
    command: [process.execPath, "-e", script],
    folder: tmpdir(),
    env,
    onLine: (line) => void lines.push(line),
  });
  started.push(process_);
  return { process: process_, lines };
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
    expect(await process.ended).toBe("it exited with code 0");
  });

  test("tells how it ended, after its last words", async () => {
    const { process, lines } = run(
      "console.error('no route'); console.error('bye'); process.exit(7)",
    );
    expect(await within(process.ended, { what: "its end" })).toBe("it exited with code 7");
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
    expect(await within(process.ended, { what: "its end" })).toContain("no program /nowhere/ssh");
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
    expect(await process.ended).toBe("SIGKILL ended it");
    await waitUntil(() => !isAlive(grandchild), { what: "the end of what it started" });
  });

  test("what it leaves behind ends with it", async () => {
    const { process, lines } = run(`
      const child = require("child_process").spawn(process.execPath,
        ["-e", "setInterval(() => undefined, 1000)"], { stdio: "inherit" });
      console.error(child.pid);
      process.stdin.once("data", () => process.exit(3));`);
    await waitUntil(() => lines.length === 1, { what: "its words" });
    process.stdin.write("go");
    expect(await within(process.ended, { what: "its end" })).toBe("it exited with code 3");
    await waitUntil(() => !isAlive(Number(lines[0])), { what: "the end of what it started" });
  });
});
