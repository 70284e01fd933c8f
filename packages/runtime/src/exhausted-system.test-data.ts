/**
 * Starts a command while this process may open no more files, once more while it may open too few, and again when it may; prints how each
 * ended. Whoever starts it has set a bound on its files.
 */
import { closeSync, openSync } from "node:fs";
import { systemClock } from "./clock.ts";
import { CommandProcess, type CommandEnd } from "./command-process.ts";

async function endOf(...command: readonly string[]): Promise<CommandEnd> {
  const process = new CommandProcess({ clock: systemClock, command, onLine: () => undefined });
  process.stdin.end("what nobody may read");
  process.stdout.resume();
  return process.ended;
}

function openAll(): number[] {
  const open: number[] = [];
  try {
    for (;;) open.push(openSync("/dev/null", "r"));
  } catch {
    return open;
  }
}

const ends: CommandEnd[] = [];
const open = openAll();
ends.push(await endOf("true"));
for (const fd of open.splice(0, 3)) closeSync(fd);
ends.push(await endOf("true"));
for (const fd of open) closeSync(fd);
ends.push(await endOf("true"));
console.log(JSON.stringify(ends));
