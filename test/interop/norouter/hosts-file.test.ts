import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { missing, notRoot } from "../../support/requires.ts";
import { endWithTest, useTempFolder } from "../../support/temp-folder.ts";
import { waitUntil, within } from "../../support/wait.ts";
import { AgentProcess, frameKind } from "./agent-process.ts";
import { ours } from "./program.ts";

const before = "127.0.0.1 localhost\n192.0.2.7 somebody # who was here before\n";
const me = "127.0.79.1";
const impossible = missing("unshare", "mount") || notRoot("a mount namespace");

describe.skipIf(impossible)("an agent's region of the hosts file, which it has for itself", () => {
  it("is gone after SIGTERM, which ends it with 0", async () => {
    const machine = await useMachine();
    const agent = await machine.start();
    agent.child.signal("SIGTERM");
    expect(await within(15_000, "its end", agent.child.exited)).toMatchObject({ code: 0 });
    expect(await machine.hosts()).toBe(before);
  });

  it("is gone after the end of its standard input", async () => {
    const machine = await useMachine();
    const agent = await machine.start();
    expect(await agent.hangUp()).toMatchObject({ code: 1 });
    expect(await machine.hosts()).toBe(before);
  });

  it("is taken out by the next where it was killed and could not", async () => {
    const machine = await useMachine();
    const killed = await machine.start();
    killed.child.signal("SIGKILL");
    await within(15_000, "its end", killed.child.exited);
    expect(await machine.hosts()).toContain(me);
    const next = await machine.start();
    expect((await machine.hosts()).match(/127\.0\.79\.1 box$/gm)).toHaveLength(1);
    await next.hangUp();
    expect(await machine.hosts()).toBe(before);
  });
});

/** A directory that agents take for /etc, in mount namespaces of their own. */
async function useMachine() {
  const etc = join(await useTempFolder(), "etc");
  await mkdir(etc);
  await writeFile(join(etc, "hosts"), before);
  const script = 'mount --bind "$0" /etc && exec "$@"';
  const command = ["unshare", "--mount", "sh", "-c", script, etc, ...ours.command];
  const hosts = (): Promise<string> => readFile(join(etc, "hosts"), "utf8");
  return {
    hosts,
    /** Starts an agent; resolves when it has written its region and said so. */
    start: async (): Promise<AgentProcess> => {
      const agent = new AgentProcess({ name: "ours", command });
      endWithTest(agent.child);
      const args = {
        me,
        hostnameMap: { box: me },
        loopback: { disable: true },
        stateDir: { disable: true },
        writeEtcHosts: true,
      };
      agent.sendJson({ type: "request", body: { id: 1, op: "configure", args } });
      const [result] = await agent.wrote(1);
      expect(result?.kind).toBe(frameKind.json);
      expect(String(result?.payload)).toContain('"data"');
      const region = (): Promise<boolean> =>
        hosts().then((text) => text.includes(`process ${agent.child.pid} `));
      await waitUntil("its region", region, { withinMs: 5_000 });
      return agent;
    },
  };
}
