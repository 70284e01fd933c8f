import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { missing, notRoot } from "../../support/requires.ts";
import { waitUntil } from "../../support/wait.ts";
import { fetchAll, uploadTo } from "./matrix.ts";
import { allAgents, members, Mesh, type Member } from "./mesh.ts";
import { ours, realProgram } from "./program.ts";

const real = realProgram();
const impossible = notRoot("the mesh of network namespaces") || missing("ip", "curl");
const mebibyte = 1024 * 1024;

// What the original's manager does not do: a dead agent stays dead, and one that does not read stalls all who send to it.
for (const program of [ours, ...(real === undefined ? [] : [real])]) {
  describe.skipIf(impossible)(`our manager in trouble with its agents: ${program.name}`, () => {
    const mesh = new Mesh({ manager: ours, agents: allAgents(program) });
    beforeAll(() => mesh.start(), 60_000);
    afterAll(() => mesh.stop());
    afterEach(({ task }) => {
      if (task.result?.state === "fail") console.error(mesh.log.slice(-6_000));
    });

    it("starts a dead agent again, and all can reach it", async () => {
      const before = await onlyAgent(mesh, "host1");
      process.kill(before, "SIGKILL");
      await waitUntil(
        "another agent of host1",
        async () => (await onlyAgent(mesh, "host1")) !== before,
        { withinMs: 15_000 },
      );
      const reached = async (): Promise<boolean> =>
        (await uploadTo(mesh, "host2", members.host1, 1)) === undefined;
      await waitUntil("host1 is reached again", reached, { withinMs: 15_000 });
      expect((await fetchAll(mesh, "VIP", 1)).faults).toEqual([]);
      expect((await fetchAll(mesh, "SOCKS5h", 1)).faults).toEqual([]);
    });

    it("lets nobody wait for an agent that stands still, which goes on where it was", async () => {
      const stuck = await onlyAgent(mesh, "host3");
      process.kill(stuck, "SIGSTOP");
      const waiting = uploadTo(mesh, "host2", members.host3, 64 * mebibyte);
      try {
        for (let round = 0; round < 5; round += 1) {
          expect(await uploadTo(mesh, "host2", members.host1, 8 * mebibyte)).toBeUndefined();
        }
      } finally {
        process.kill(stuck, "SIGCONT");
      }
      expect(await waiting).toBeUndefined();
    });
  });
}

async function onlyAgent(mesh: Mesh, name: Member): Promise<number> {
  return waitUntil(`the agent of ${name}`, async () => {
    const agents = await mesh.agentsOf(name);
    return agents.length === 1 ? agents[0] : undefined;
  });
}
