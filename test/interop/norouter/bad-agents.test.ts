import { writeFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import { describe, expect, it, onTestFailed } from "vitest";
import { Child } from "../../support/child.ts";
import { endWithTest, useTempFolder } from "../../support/temp-folder.ts";
import { waitUntil } from "../../support/wait.ts";
import { ours } from "./program.ts";

/** What an agent of bad-agent.mjs does after it has been called ready, and the event of our manager's log that tells of it. */
const deeds = {
  banner: { event: "norouter.agent.lost", reason: /begins with 0x42/ },
  short: { event: "norouter.packet.dropped", reason: /^malformed$/ },
  foreign: { event: "norouter.packet.dropped", reason: /^foreign_source$/ },
  nowhere: { event: "norouter.packet.dropped", reason: /^no_route$/ },
  huge: { event: "norouter.agent.lost", reason: /16777211 bytes/ },
  nonsense: { event: "norouter.message.refused" },
  suggestion: { event: "norouter.route.refused" },
  dies: { event: "norouter.agent.lost", reason: /exited with code 3/ },
} as const;

interface LogLine {
  readonly event: string;
  readonly host?: string;
  readonly reason?: string;
}

describe("our manager and agents that do wrong", () => {
  it("tells of each by name, goes on with all that live and starts again those that do not", async () => {
    const folder = await useTempFolder();
    const manifest = join(folder, "mesh.yaml");
    await writeFile(manifest, manifestText());
    const command = [...ours.command, "--log-format", "json", manifest];
    const manager = new Child(command[0]!, command.slice(1));
    endWithTest(manager);
    const log: LogLine[] = [];
    createInterface(manager.stderr).on("line", (line) => log.push(JSON.parse(line) as LogLine));
    onTestFailed(() => {
      console.error(log.map((line) => JSON.stringify(line)).join("\n"));
    });
    for (const [name, deed] of Object.entries(deeds)) {
      const reason = "reason" in deed ? deed.reason : undefined;
      const told = ({ event, host, ...line }: LogLine): boolean =>
        event === deed.event && host === name && (reason?.test(line.reason ?? "") ?? true);
      await waitUntil(`${deed.event} of ${name}`, () => log.some(told), { withinMs: 20_000 });
    }
    const starts = (name: string): number =>
      log.filter(({ event, host }) => event === "norouter.agent.starting" && host === name).length;
    for (const name of ["banner", "huge", "dies"]) {
      await waitUntil(`${name} is started again`, () => starts(name) >= 2, { withinMs: 20_000 });
    }
    for (const name of ["good", "short", "foreign", "nowhere", "nonsense", "suggestion"]) {
      expect([name, starts(name)]).toEqual([name, 1]);
    }
    expect(await manager.end("SIGINT")).toEqual({ code: 0, signal: null });
  });
});

function manifestText(): string {
  const script = fileURLToPath(new URL("bad-agent.mjs", import.meta.url));
  const bad = Object.keys(deeds).map((name, index) => {
    const command = JSON.stringify([process.execPath, script, name]);
    return `  ${name}: {vip: "127.0.42.${70 + index}", cmd: ${command}}`;
  });
  return [
    "hosts:",
    '  good: {vip: "127.0.42.61", loopback: {disable: true}, stateDir: {disable: true}}',
    ...bad,
    "",
  ].join("\n");
}
