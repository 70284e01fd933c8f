import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const script = fileURLToPath(new URL("exhausted-system.test-data.ts", import.meta.url));
const node = [process.execPath, "--conditions=@culvert/source", "--import", "tsx", script];

function endsOf(...command: readonly string[]): readonly { kind: string; text: string }[] {
  const [program = "", ...args] = command;
  const { stdout, stderr, status } = spawnSync(program, args, { encoding: "utf8" });
  expect([status, stderr]).toEqual([0, ""]);
  return JSON.parse(stdout) as { kind: string; text: string }[];
}

test("a system without files to give ends nobody: the command is told of as such, and starts when there are", () => {
  const ends = endsOf("sh", "-c", 'ulimit -n 100; exec "$0" "$@"', ...node);
  expect(ends.map(({ kind }) => kind)).toEqual(["exhausted", "exhausted", "exited"]);
  expect(ends[0]!.text).toBe(
    "it cannot be started: the system has no more files or processes to give (EMFILE)",
  );
});
